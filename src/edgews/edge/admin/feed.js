// The feed: asks for the token where one is needed, connects, and comes back by itself.
import { by, make, write } from './dom.js';

const LONGEST = 30;

export class Feed {
  /** heard: what to do with each kind of message. */
  constructor(heard) {
    this.heard = heard;
    this.socket = null;
    this.attempts = 0;
    this.view = null;
    by('login-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.login(by('token').value);
    });
    by('login').addEventListener('cancel', (event) => event.preventDefault());
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => document.hidden || this.hurry());
  }

  /** soon: what changes every second, which is not read out. */
  state(state, text, soon = '') {
    by('state').dataset.state = state;
    write(by('state').querySelector('.text'), text);
    write(by('state').querySelector('.soon'), soon);
  }

  async connect() {
    clearTimeout(this.timer);
    this.state('waiting', this.attempts ? 'reconnecting' : 'connecting');
    let answer;
    try {
      answer = await fetch('login', { cache: 'no-store' });
    } catch {
      this.later();
      return;
    }
    if (answer.status === 401) {
      this.state('waiting', 'locked');
      if (!by('login').open) by('login').showModal();
      return;
    }
    if (!answer.ok) {
      this.later();
      return;
    }
    if (by('login').open) by('login').close();
    const where = new URL('live', location.href);
    where.protocol = where.protocol.replace('http', 'ws');
    const socket = new WebSocket(where);
    this.socket = socket;
    socket.onopen = () => {
      this.attempts = 0;
      this.state('live', 'live');
      if (this.view) this.ask(this.view);
    };
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      this.heard[message.type]?.(message);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.socket = null;
      this.later();
    };
  }

  /** Try again after any time up to a bound that doubles, and say so. */
  later() {
    this.attempts += 1;
    const bound = Math.min(2 ** this.attempts, LONGEST);
    let left = Math.ceil(bound / 2 + (Math.random() * bound) / 2);
    const tick = () => {
      if (left <= 0) {
        this.connect();
        return;
      }
      this.state('lost', 'no connection,', `again in ${left} s`);
      left -= 1;
      this.timer = setTimeout(tick, 1000);
    };
    clearTimeout(this.timer);
    tick();
  }

  hurry() {
    if (!this.socket && !by('login').open) this.connect();
  }

  async login(token) {
    write(by('wrong'), '');
    try {
      const answer = await fetch('login', { headers: { Authorization: `Bearer ${token}` }, cache: 'no-store' });
      if (!answer.ok) {
        write(by('wrong'), 'That is not the token.');
        by('token').select();
        return;
      }
    } catch (error) {
      write(by('wrong'), error instanceof TypeError && !navigator.onLine ? 'There is no network.' : 'The gateway cannot be reached, or the token has characters that none has.');
      return;
    }
    by('token').value = '';
    this.connect();
  }

  ask(wish) {
    if (wish.do === 'view') this.view = wish;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(wish));
  }
}
