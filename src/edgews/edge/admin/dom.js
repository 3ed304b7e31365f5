// Small helpers: elements whose text is only ever text, and numbers as people read them.

/** Make an element; children are elements or text, never markup. */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'class') element.className = value;
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children);
  return element;
}

/** Make an SVG element. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Put a text into an element if it is not there already. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function by(id) {
  return document.getElementById(id);
}

export function count(number) {
  return Math.round(number).toLocaleString('en');
}

/** A number of things per second. */
export function rate(number) {
  return number > 0 && number < 9.95 ? String(Math.round(number * 10) / 10) : count(number);
}

export function bytes(number) {
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (number < 1000) return `${unit === 'B' || number >= 99.5 ? Math.round(number) : Number(number.toPrecision(3))} ${unit}`;
    number /= 1024;
  }
  return `${Number(number.toPrecision(3))} TiB`;
}

export function seconds(value) {
  if (value === null || value === undefined) return '–';
  if (value === 0) return '0 s';
  if (value < 0.0995) return `${Number((value * 1000).toPrecision(2))} ms`;
  if (value < 9.95) return `${Number(value.toPrecision(2))} s`;
  if (value < 60) return `${Math.floor(value)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(value % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString('en-GB');
}

/** Add up the numbers of rows by some of their labels: a map from the joined labels to [labels, number]. */
export function group(rows, ...at) {
  const found = new Map();
  for (const [labels, number] of rows) {
    const chosen = at.map((index) => labels[index]);
    const key = chosen.join('\u0000');
    found.set(key, [chosen, (found.get(key)?.[1] ?? 0) + number]);
  }
  return [...found.values()];
}
