// Charts over the last minutes, drawn by hand as SVG. A pointer or the arrow keys read single seconds.
import { draw, make, write } from './dom.js';

const HEIGHT = 100;

/** The smallest round number that is not below a value; of bytes, one that is round in KiB, MiB and so on. */
function ceiling(value, binary) {
  if (value <= 1) return 1;
  if (binary && value >= 1000) return 1024 * ceiling(value / 1024, true);
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export class Chart {
  /**
   * lines: [{field, name, style}], where style is a class of the stylesheet.
   * show: writes a value.
   * binary: the values are bytes.
   */
  constructor(title, lines, show, binary = false) {
    this.binary = binary;
    this.lines = lines;
    this.show = show;
    this.title = title;
    this.at = null;
    this.paths = lines.map((line) => ({
      area: draw('path', { class: `area ${line.style}` }),
      line: draw('path', { class: `line ${line.style}` }),
    }));
    this.cursor = draw('line', { class: 'cursor', y1: 0, y2: HEIGHT, x1: -9, x2: -9 });
    this.plot = draw('svg', { viewBox: `0 0 300 ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
    for (const y of [0.25, 50, HEIGHT - 0.25]) this.plot.append(draw('line', { class: 'grid', x1: 0, x2: 300, y1: y, y2: y }));
    for (const path of this.paths) this.plot.append(path.area);
    for (const path of this.paths) this.plot.append(path.line);
    this.plot.append(this.cursor);
    this.top = make('span', { class: 'top' });
    this.when = make('span', { class: 'when' }, 'now');
    this.values = lines.map(() => make('b'));
    const legend = lines.map((line, index) =>
      make('li', { class: line.style }, make('span', {}, line.name), this.values[index]));
    this.frame = make('div', { class: 'plot', tabindex: 0, role: 'img' }, this.plot, this.top);
    this.frame.addEventListener('pointermove', (event) => {
      const box = this.frame.getBoundingClientRect();
      this.look(Math.round(((event.clientX - box.left) / box.width) * (this.length - 1)));
    });
    this.frame.addEventListener('pointerleave', () => this.look(null));
    this.frame.addEventListener('blur', () => this.look(null));
    this.frame.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30 }[event.key];
      if (event.key === 'Escape') this.look(null);
      if (!step || !this.length) return;
      event.preventDefault();
      this.look((this.at ?? this.length - 1) + step);
    });
    this.element = make('figure', { class: 'card chart' },
      make('figcaption', {}, make('h2', {}, title), make('ul', { class: 'legend' }, ...legend)),
      this.frame,
      make('div', { class: 'axis' }, make('span', {}, '5 min ago'), this.when));
    this.length = 0;
  }

  look(at) {
    this.at = at === null ? null : Math.min(Math.max(at, 0), this.length - 1);
    this.read();
  }

  /** series has a list for each field, with the current second, which is not over yet, as its last. */
  update(series) {
    this.series = series;
    this.length = series[this.lines[0].field].length - 1;
    const most = Math.max(0, ...this.lines.flatMap((line) => series[line.field].slice(0, this.length)));
    const top = ceiling(most, this.binary);
    write(this.top, this.show(top));
    const step = 300 / (this.length - 1);
    this.lines.forEach((line, index) => {
      const points = series[line.field].slice(0, this.length)
        .map((value, at) => `${(at * step).toFixed(1)} ${(HEIGHT - 1 - (value / top) * (HEIGHT - 4)).toFixed(1)}`);
      const d = `M${points.join('L')}`;
      this.paths[index].line.setAttribute('d', d);
      this.paths[index].area.setAttribute('d', `${d}L300 ${HEIGHT}L0 ${HEIGHT}Z`);
    });
    this.read();
  }

  read() {
    if (!this.series) return;
    const at = this.at ?? this.length - 1;
    const x = this.at === null ? -9 : (at * 300) / (this.length - 1);
    this.cursor.setAttribute('x1', x);
    this.cursor.setAttribute('x2', x);
    const ago = this.length - 1 - at;
    write(this.when, ago === 0 ? 'now' : `${ago} s ago`);
    const read = this.lines.map((line, index) => {
      const value = this.show(this.series[line.field][at]);
      write(this.values[index], value);
      return `${line.name} ${value}`;
    });
    this.frame.setAttribute('aria-label', `${this.title}, ${this.when.textContent}: ${read.join(', ')}`);
  }
}
