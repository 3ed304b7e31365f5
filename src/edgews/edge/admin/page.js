// The live page: keeps what the feed tells, and shows it.
import { Chart } from './charts.js';
import { by, bytes, clock, count, make, rate, seconds, write } from './dom.js';
import { Feed } from './feed.js';
import {
  showCloses, showLimiters, showLimits, showOrigins, showRecent, showRefusals, showRules, showTiles,
} from './panels.js';
import { Table } from './table.js';

const KEPT = 100;

const known = { series: null, ended: [], refused: [], meanings: {}, bounds: [], rows: [] };
let shown = null;

const charts = [
  new Chart('Connections', [{ field: 'open', name: 'open', style: 'open' }], count),
  new Chart('Coming and going', [
    { field: 'opened', name: 'opened', style: 'up' },
    { field: 'ended', name: 'ended', style: 'down' },
    { field: 'refused', name: 'refused', style: 'refused' },
  ], rate),
  new Chart('Messages per second', [
    { field: 'messages_up', name: '↑ clients', style: 'up' },
    { field: 'messages_down', name: '↓ origins', style: 'down' },
  ], rate),
  new Chart('Bytes per second', [
    { field: 'bytes_up', name: '↑ clients', style: 'up' },
    { field: 'bytes_down', name: '↓ origins', style: 'down' },
  ], bytes, true),
];
by('charts').append(...charts.map((chart) => chart.element));

const feed = new Feed({
  hello(message) {
    Object.assign(known, { meanings: message.meanings, bounds: message.bounds, version: message.version });
    Object.assign(known, { series: null, ended: [], refused: [] });
  },
  update(message) {
    learn(message.report);
    known.rows = message.connections;
    show(message.report);
  },
  trace(message) {
    if (shown === message.ray) tell(message.trace);
  },
  closed(message) {
    if (shown !== message.ray) return;
    write(by('verdict'), message.done ? 'The Close frame is on its way.' : `That is not possible: ${message.why}.`);
  },
});
const table = new Table((wish) => feed.ask(wish), open);

/** Put what is new to what is known. */
function learn(report) {
  const { series } = report;
  if (known.series === null) {
    known.series = series;
  } else {
    const passed = series.end - known.series.end;
    for (const [field, values] of Object.entries(series)) {
      if (field === 'end') continue;
      const length = known.series[field].length;
      // The first of the new ones is the last of the old ones, which was not over yet.
      known.series[field] = [...known.series[field], ...Array(Math.max(passed, 0)).fill(0)].slice(-length);
      known.series[field].splice(length - values.length, values.length, ...values);
    }
    known.series.end = series.end;
  }
  for (const key of ['ended', 'refused']) {
    const rays = new Set(report[key].map((record) => record.ray));
    known[key] = [...report[key], ...known[key].filter((record) => !rays.has(record.ray))].slice(0, KEPT);
  }
}

function show(report) {
  const workers = report.workers === 1 ? 'one process' : `${report.workers} processes`;
  write(by('about'), `up ${seconds(Math.floor(report.time - report.since))} · ${workers} · edgews ${known.version}`);
  for (const chart of charts) chart.update(known.series);
  showTiles(report, known.series, known.bounds);
  table.update(known.rows, report.gauges.connections_open.reduce((total, row) => total + row[1], 0));
  showCloses(report, known.meanings);
  showRefusals(report);
  showRecent('ended', known.ended, open, 'No connection has ended yet.');
  showRecent('refused', known.refused, open, 'No request was refused.');
  showLimits(report);
  showLimiters(report);
  showOrigins(report);
  showRules(report);
  if (shown && by('detail').open) feed.ask({ do: 'trace', ray: shown });
}

// One request

function open(ray) {
  shown = ray;
  write(by('detail-title'), ray);
  by('story').replaceChildren();
  delete by('story').dataset.key;
  by('facts').replaceChildren();
  by('close').hidden = true;
  write(by('verdict'), '');
  by('detail').showModal();
  feed.ask({ do: 'trace', ray });
}

const FACTS = [
  ['client', 'Client'], ['host', 'Host'], ['target', 'Path'], ['route', 'Route'], ['origin', 'Origin'],
  ['secure', 'TLS', (value) => (value ? 'yes' : 'no')], ['time', 'Since', clock],
  ['messages_up', 'Messages ↑', count], ['messages_down', 'Messages ↓', count],
  ['bytes_up', 'Bytes ↑', count], ['bytes_down', 'Bytes ↓', count],
  ['ping', 'Ping of the client', seconds], ['ping_origin', 'Ping of the origin', seconds],
  ['status', 'Status'], ['code', 'Code'], ['by', 'Ended by'], ['cause', 'Cause'], ['header', 'Header at fault'],
];

function tell(trace) {
  // What stays as it is can be marked and copied.
  const key = JSON.stringify([shown, trace]);
  if (by('story').dataset.key === key) return;
  by('story').dataset.key = key;
  by('close').hidden = trace?.event !== 'open' || trace.closing;
  if (!trace) {
    by('story').replaceChildren(make('li', {}, 'This request is not known any more.'));
    return;
  }
  by('story').replaceChildren(...trace.story.map((step) => make('li', {}, step)));
  by('facts').replaceChildren(...FACTS.filter(([key]) => trace[key] !== undefined && trace[key] !== '').flatMap(([key, title, write_]) =>
    [make('dt', {}, key === 'time' && trace.event !== 'open' ? 'At' : title), make('dd', {}, write_ ? write_(trace[key]) : String(trace[key]))]));
}

by('detail').addEventListener('close', () => {
  shown = null;
  // The row that it was opened from may be gone, and the focus with it.
  if (document.activeElement === document.body) by('connections').focus();
});
by('close').addEventListener('submit', (event) => {
  event.preventDefault();
  feed.ask({ do: 'close', ray: shown, code: Number(by('code').value), reason: by('reason').value });
});

document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    by('filter').focus();
  }
});

feed.connect();
