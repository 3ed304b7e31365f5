// The table of open connections: filtered and sorted by the gateway, as there may be very many.
import { by, bytes, count, make, seconds, write } from './dom.js';

const COLUMNS = [
  { key: 'client', title: 'Client' },
  { key: 'route', title: 'Host and path' },
  { key: 'origin', title: 'Route and origin' },
  { key: 'age', title: 'Open for', number: true },
  { key: 'messages', title: 'Messages', number: true },
  { key: 'bytes', title: 'Bytes', number: true },
  { key: 'ping', title: 'Ping', number: true },
];
const LIMIT = 200;

export class Table {
  /** ask: sends a wish; open: shows one connection. */
  constructor(ask, open) {
    this.ask = ask;
    this.open = open;
    this.view = { do: 'view', match: '', sort: 'age', down: false, limit: LIMIT };
    this.rows = new Map();
    this.body = by('table').tBodies[0];
    this.heads = COLUMNS.map((column) => {
      const button = make('button', { type: 'button', onclick: () => this.sort(column) }, column.title);
      return make('th', { scope: 'col', class: column.number ? 'number' : '' }, button);
    });
    by('table').tHead.rows[0].append(...this.heads);
    by('filter').addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.want({ match: by('filter').value }), 120);
    });
    this.want({});
  }

  sort(column) {
    const same = this.view.sort === column.key;
    this.want({ sort: column.key, down: same ? !this.view.down : Boolean(column.number) });
  }

  want(change) {
    Object.assign(this.view, change);
    COLUMNS.forEach((column, index) => {
      const sorted = this.view.sort === column.key;
      this.heads[index].setAttribute('aria-sort', !sorted ? 'none' : this.view.down ? 'descending' : 'ascending');
    });
    this.ask(this.view);
  }

  update(connections, total) {
    write(by('shown'), connections.length < total ? `${count(connections.length)} of ${count(total)}` : count(total));
    const none = by('none');
    none.hidden = connections.length > 0;
    write(none, total > 0 ? 'None fits the filter.' : 'No connection is open at the moment.');
    const focused = document.activeElement;
    const before = this.rows;
    this.rows = new Map();
    connections.forEach((one, index) => {
      const row = before.get(one.ray) ?? this.make(one.ray);
      before.delete(one.ray);
      this.rows.set(one.ray, row);
      this.fill(row, one);
      if (this.body.rows[index] !== row.element) this.body.insertBefore(row.element, this.body.rows[index] ?? null);
    });
    for (const row of before.values()) row.element.remove();
    // To move a row takes the focus away from it.
    if (focused !== document.activeElement && this.body.contains(focused)) focused.focus();
  }

  make(ray) {
    const part = (name) => make('span', { class: name });
    const row = {
      client: make('button', { type: 'button', class: 'link', onclick: () => this.open(ray) }),
      ray: part('dim mono'), host: part('strong'), target: part('mono'), route: part('strong'), origin: part('dim mono'),
      age: part(''), up: part('up'), down: part('down'), bytesUp: part('up'), bytesDown: part('down'), ping: part(''),
    };
    const cells = [
      [row.client, row.ray], [row.host, row.target], [row.route, row.origin], [row.age],
      [row.up, row.down], [row.bytesUp, row.bytesDown], [row.ping],
    ];
    row.element = make('tr', { onclick: (event) => event.target.closest('button') || this.open(ray) },
      ...cells.map((content, index) => make('td', {
        class: COLUMNS[index].number ? 'number' : '', 'data-title': COLUMNS[index].title,
      }, make('div', {}, ...content))));
    return row;
  }

  fill(row, one) {
    write(row.client, one.client || 'Unix socket');
    write(row.ray, one.ray);
    write(row.host, one.host);
    write(row.target, one.target);
    write(row.route, one.route);
    write(row.origin, one.origin);
    write(row.age, one.closing ? 'closing' : seconds(Math.floor(one.age)));
    write(row.up, count(one.messages_up));
    write(row.down, count(one.messages_down));
    write(row.bytesUp, bytes(one.bytes_up));
    write(row.bytesDown, bytes(one.bytes_down));
    write(row.ping, seconds(one.ping));
    row.element.classList.toggle('closing', one.closing);
  }
}
