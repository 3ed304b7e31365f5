// What the report says besides the charts: tiles, closes, refusals, limits, origins, rules.
import { by, bytes, clock, count, group, make, rate, seconds, write } from './dom.js';

const RECENT = 30;
const WHO = ['client', 'origin', 'gateway'];
const RANGES = {
  '3xxx': 'registered by a library, framework or application',
  '4xxx': 'private to the application',
  other: 'not a code that may be used',
};

/** Put new content into a panel only if something has changed, so that nothing flickers and focus stays. */
function fill(id, value, build) {
  const panel = by(id);
  const key = JSON.stringify(value);
  if (panel.dataset.key === key) return;
  panel.dataset.key = key;
  const at = [...panel.querySelectorAll('button')].indexOf(document.activeElement);
  panel.replaceChildren(...build());
  if (at >= 0) panel.querySelectorAll('button')[at]?.focus();
}

function empty(text) {
  return [make('p', { class: 'empty' }, text)];
}

function pill(text, tone) {
  return make('span', { class: `pill ${tone}` }, text);
}

// Tiles

const TILES = ['Open connections', 'Opened', 'Messages', 'Throughput', 'Refused', 'Ping, median'];
const tiles = new Map();

function tile(name, value, note, tone = '') {
  let one = tiles.get(name);
  if (!one) {
    one = { value: make('strong'), note: make('small') };
    one.element = make('div', { class: 'card tile' }, make('h2', {}, name), one.value, one.note);
    tiles.set(name, one);
    by('tiles').append(one.element);
  }
  write(one.value, value);
  write(one.note, note);
  one.element.dataset.tone = tone;
}

/** The mean of the last whole seconds. */
function recent(list, span = 5) {
  const part = list.slice(-1 - span, -1);
  return part.reduce((sum, value) => sum + value, 0) / Math.max(part.length, 1);
}

/** A number with its unit, which are not torn apart. */
function whole(text) {
  return text.replaceAll(' ', '\u00a0');
}

function sum(list) {
  return list.reduce((total, value) => total + value, 0);
}

/** The value below which a share of a histogram lies, as exactly as its buckets say. */
function quantile(counts, bounds, share) {
  let wanted = sum(counts) * share;
  if (!wanted) return null;
  for (let at = 0; at < bounds.length; at += 1) {
    const low = at ? bounds[at - 1] : 0;
    if (counts[at] >= wanted) return low + (bounds[at] - low) * (wanted / counts[at]);
    wanted -= counts[at];
  }
  return bounds[bounds.length - 1];
}

function pings(report, bounds) {
  const row = report.histograms.ping_seconds.find(([labels]) => labels[0] === 'client');
  if (!row) return [null, null];
  return [0.5, 0.95].map((share) => quantile(row[1], bounds, share));
}

export function showTiles(report, series, bounds) {
  const limit = report.limits.find((one) => one.kind === 'all');
  const open = sum(report.gauges.connections_open.map((row) => row[1]));
  const opening = sum(report.gauges.connections_opening.map((row) => row[1]));
  const [median, high] = pings(report, bounds);
  const refused = sum(series.refused);
  tile(TILES[0], count(open), [limit ? `of ${count(limit.soft)}` : '', opening ? `${count(opening)} opening` : ''].filter(Boolean).join(', '),
    limit && limit.state !== 'ok' ? 'bad' : '');
  tile(TILES[1], `${rate(recent(series.opened))}/s`, `${count(sum(report.counters.connections_opened.map((row) => row[1])))} since the start`);
  tile(TILES[2], `${rate(recent(series.messages_up) + recent(series.messages_down))}/s`,
    `↑ ${rate(recent(series.messages_up))}  ↓ ${rate(recent(series.messages_down))}`);
  tile(TILES[3], `${bytes(recent(series.bytes_up) + recent(series.bytes_down))}/s`,
    `↑ ${whole(bytes(recent(series.bytes_up)))}  ↓ ${whole(bytes(recent(series.bytes_down)))}`);
  tile(TILES[4], count(refused), 'in five minutes', refused ? 'warning' : '');
  tile(TILES[5], seconds(median), high === null ? 'no Ping answered yet' : `95 % within ${seconds(high)}`);
}

// Closes and refusals

export function showCloses(report, meanings) {
  const rows = report.counters.connections_ended;
  fill('closes', rows, () => {
    const codes = group(rows, 3).sort((a, b) => b[1] - a[1]);
    const most = codes[0]?.[1] ?? 1;
    if (!codes.length) return empty('No connection has ended yet.');
    return [make('ul', { class: 'bars' }, ...codes.map(([[code], number]) => {
      const own = rows.filter(([labels]) => labels[3] === code);
      const parts = WHO.map((who) => [who, sum(own.filter(([labels]) => labels[1] === who).map((row) => row[1]))]).filter((part) => part[1]);
      const why = group(own, 2).sort((a, b) => b[1] - a[1]).map(([[word], times]) => `${word} ${count(times)}`);
      const bar = make('span', { class: 'bar' }, ...parts.map(([who, times]) => {
        const piece = make('span', { class: who, title: `${who}: ${count(times)}` });
        piece.style.width = `${(100 * times) / most}%`;
        return piece;
      }));
      return make('li', {},
        make('span', { class: 'code' }, code), make('span', { class: 'meaning' }, meanings[code] ?? RANGES[code] ?? ''),
        make('span', { class: 'number' }, count(number)), bar,
        make('span', { class: 'why' }, `${parts.map(([who, times]) => `${who} ${count(times)}`).join(', ')}: ${why.join(', ')}`));
    }))];
  });
}

export function showRefusals(report) {
  const dropped = report.counters.connections_dropped.map(([[awaited, reason], number]) => [['', '0', `awaiting ${awaited}: ${reason}`, ''], number]);
  const rows = [...report.counters.upgrades_refused, ...dropped];
  fill('refusals', rows, () => {
    if (!rows.length) return empty('No request was refused.');
    const grouped = group(rows, 1, 2, 3, 0).sort((a, b) => b[1] - a[1]);
    const most = grouped[0][1];
    return [make('ul', { class: 'bars' }, ...grouped.map(([[status, reason, header, route], number]) => {
      const piece = make('span', { class: 'refused' });
      piece.style.width = `${(100 * number) / most}%`;
      return make('li', {},
        make('span', { class: 'code' }, status === '0' ? '–' : status),
        make('span', { class: 'meaning' }, reason, header ? make('span', { class: 'field' }, header) : ''),
        make('span', { class: 'number' }, count(number)), make('span', { class: 'bar' }, piece),
        make('span', { class: 'why' }, route ? `route ${route}` : 'no route'));
    }))];
  });
}

function place(record) {
  return `${record.host}${record.target}` || 'no request';
}

export function showRecent(id, records, open, none) {
  const shown = records.slice(0, RECENT);
  fill(id, shown.map((record) => record.ray), () => {
    if (!shown.length) return empty(none);
    return [make('ul', {}, ...shown.map((record) => {
      const code = record.event === 'end' ? String(record.code) : record.status ? String(record.status) : '–';
      const tone = record.event === 'end' ? (record.code <= 1001 || record.code === 1005 ? 'good' : 'bad') : 'warning';
      return make('li', {}, make('button', { type: 'button', onclick: () => open(record.ray, record) },
        make('time', {}, clock(record.time)), pill(code, tone),
        make('span', { class: 'cause' }, record.cause, record.header ? make('span', { class: 'field' }, record.header) : ''),
        make('span', { class: 'place mono' }, `${record.client || 'Unix socket'} → ${place(record)}`)));
    }))];
  });
}

// Limits, origins, rules

const ACTIONS = { block: 'bad', close: 'bad', failed: 'warning' };
const TONES = { ok: 'good', burst: 'warning', over: 'bad', failing: 'warning', down: 'bad' };

export function showLimits(report) {
  fill('limits', report.limits, () => {
    if (!report.limits.length) return empty('No limit is configured.');
    return report.limits.map((limit) => {
      const most = Math.max(limit.soft + limit.burst, limit.count, 1);
      const used = make('span', { class: TONES[limit.state] ?? 'good' });
      used.style.width = `${(100 * limit.count) / most}%`;
      used.hidden = !limit.count;
      const mark = make('i', { title: 'soft limit' });
      mark.style.left = `${(100 * limit.soft) / most}%`;
      return make('div', { class: 'gauge' },
        make('span', { class: 'name' }, limit.name || limit.kind, limit.name && limit.kind !== 'all' ? make('small', {}, limit.kind) : ''),
        pill(limit.state, TONES[limit.state] ?? 'good'),
        make('span', { class: 'number' }, `${count(limit.count)} of ${count(limit.soft)}${limit.burst ? ` + ${count(limit.burst)}` : ''}`),
        make('span', { class: 'bar', role: 'meter', 'aria-label': limit.name || limit.kind, 'aria-valuemin': 0, 'aria-valuemax': most, 'aria-valuenow': limit.count },
          used, limit.burst ? mark : ''));
    });
  });
}

/** Rate limiters: whom they refuse now, how fast they are asked, and how full their tables are. */
export function showLimiters(report) {
  fill('limiters', report.limiters, () => {
    if (!report.limiters.length) return empty('No rate limit is configured.');
    return report.limiters.map((one) => {
      const full = one.keys >= one.max_keys;
      const [state, tone] = full ? ['table full', 'bad'] : one.limited ? ['limiting', 'warning'] : ['ok', 'good'];
      const share = one.keys / one.max_keys;
      const used = make('span', { class: full ? 'bad' : share > 0.9 ? 'warning' : 'good' });
      used.style.width = `${100 * share}%`;
      used.hidden = !one.keys;
      return make('div', { class: 'gauge limiter' },
        make('span', { class: 'name' }, one.name),
        pill(state, tone),
        make('span', { class: 'number' }, one.limited ? `${count(one.limited)} limited now` : 'nobody limited'),
        make('span', { class: 'bar', role: 'meter', 'aria-label': `table of ${one.name}`, 'aria-valuemin': 0, 'aria-valuemax': one.max_keys, 'aria-valuenow': one.keys }, used),
        make('span', { class: 'why both' },
          make('span', {}, make('b', {}, `${rate(one.allowed_rate)}/s`), ` allowed, ${count(one.allowed)} in all`),
          make('span', {}, make('b', { class: one.refused_rate ? 'bad' : '' }, `${rate(one.refused_rate)}/s`), ` refused, ${count(one.refused)} in all`),
          make('span', {}, `${count(one.keys)} of ${count(one.max_keys)} keys`)));
    });
  });
}

export function showOrigins(report) {
  fill('origins', [report.origins, report.counters.origin_failures], () => {
    if (!report.origins.length) return empty('No origin is configured.');
    return [make('ul', { class: 'list' }, ...report.origins.map((origin) => {
      const failed = report.counters.origin_failures.filter(([labels]) => labels[0] === origin.origin);
      const why = group(failed, 1).map(([[reason], times]) => `${reason} ${count(times)}`).join(', ');
      return make('li', {}, make('span', { class: 'name mono' }, origin.origin), pill(origin.state, TONES[origin.state] ?? 'good'),
        make('span', { class: 'number' }, `${count(origin.active)} open`),
        make('span', { class: 'why' }, `route ${origin.route}${why ? `; failures: ${why}` : ''}`));
    }))];
  });
}

export function showRules(report) {
  const rows = report.counters.rule_matches;
  fill('rules', rows, () => {
    if (!rows.length) return empty('No rule has matched.');
    return [make('ul', { class: 'list' }, ...group(rows, 0, 1).sort((a, b) => b[1] - a[1]).map(([[rule, action], number]) =>
      make('li', {}, make('span', { class: 'name' }, rule), pill(action, ACTIONS[action] ?? 'neutral'),
        make('span', { class: 'number' }, count(number)))))];
  });
}
