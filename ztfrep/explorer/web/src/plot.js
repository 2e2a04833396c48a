// The map itself: draws the rows that are shown, finds rows by their pixels, moves between projections.
import { extent, shuffler } from "d3-array";
import { polygonContains } from "d3-polygon";
import { randomLcg } from "d3-random";
import KDBush from "kdbush";
import { Points } from "./points.js";
import { still, View } from "./view.js";

const MOVE = 650;
/** Side of the squares that are counted to see how crowded a view is, in pixels. */
const CELL = 14;

export class Plot {
  /** Throws an error where there is no WebGL. @param {HTMLCanvasElement} canvas */
  constructor(canvas, n) {
    this.canvas = canvas;
    this.n = n;
    this.view = new View(canvas);
    this.view.behaviour.on("zoom", () => this.request());
    this.points = Points.create(canvas, n);
    /** @type {Float32Array} */
    this.positions = new Float32Array(2 * n);
    /** @type {KDBush|null} */
    this.tree = null;
    this.shown = new Uint8Array(n).fill(1);
    this.none = new Uint8Array(n);
    // The same random order each time: no class lies on top of all others.
    this.shuffled = shuffler(randomLcg(0))(Uint32Array.from({ length: n }, (_, i) => i));
    /** @type {Uint8Array|null} 1 for selected rows */
    this.selected = null;
    this.background = "#ffffff";
    this.progress = 1;
    /** @type {((plot: Plot) => void)[]} called after each drawing */
    this.listeners = [];
    this.requested = false;
    /** Pixels at the bottom of the map that the panel covers. */
    this.covered = 0;
    new ResizeObserver(() => this.resize()).observe(canvas);
    // The graphics card may drop all it has, as phones do for a page in the background.
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => this.#restore());
    this.resize();
  }

  resize() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (!width || !height) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.view.resize(width, height);
    // At once: a canvas whose size changes is blank until it is drawn.
    this.draw();
  }

  /** Places the points; with `move` they go there from where they are. */
  place(positions, move = false) {
    const { view } = this;
    const start = move && !still.matches ? this.positions : positions;
    // Who sees the whole map goes on seeing it.
    const whole = view.isWhole;
    [this.positions, this.tree] = [positions, null];
    view.enclose(positions);
    if (whole) view.reset(start !== positions);
    this.points.place(start, positions);
    view.selection.interrupt("move");
    this.progress = start === positions ? 1 : 0;
    this.request();
    if (this.progress === 1) return;
    const step = (t) => {
      this.progress = t;
      this.request();
    };
    view.selection.transition("move").duration(MOVE).tween("progress", () => step);
  }

  /** Colours the points. @param {{codes: Uint8Array, colours: string[]}} colouring */
  colour(colouring) {
    const { codes, colours } = (this.colouring = colouring);
    this.points.colour(codes, colours);
    this.none = codes.map((code) => (code === colours.length - 1 ? 1 : 0));
    this.#sort();
  }

  /** Shows the rows with a 1 only. @param {Uint8Array} shown */
  show(shown) {
    this.shown = shown;
    this.#sort();
  }

  /** Emphasizes rows; null for none. @param {Uint8Array|null} selected */
  select(selected) {
    this.selected = selected;
    const emphasis = new Uint8Array(this.n).fill(selected ? 0 : 1);
    selected?.forEach((each, i) => (emphasis[i] = each ? 2 : 0));
    this.points.emphasize(emphasis);
    this.#sort();
  }

  /** The row whose point is nearest to a pixel, at most `radius` pixels away, or -1. */
  nearest(px, py, radius = Math.max(6, this.size / 2 + 3)) {
    const { positions, shown, view } = this;
    const [x, y] = view.toPlane(px, py);
    const distance = (row) => Math.hypot(positions[2 * row] - x, positions[2 * row + 1] - y);
    const rows = this.#index().within(x, y, radius / view.scale).filter((row) => shown[row]);
    return rows.reduce((best, row) => (best < 0 || distance(row) < distance(best) ? row : best), -1);
  }

  /** The rows in a polygon of pixels, of those that are shown. @param {[number, number][]} path */
  inside(path) {
    const { positions, shown, view } = this;
    const polygon = path.map(([x, y]) => view.toPlane(x, y));
    const [[left, right], [low, high]] = [0, 1].map((axis) => extent(polygon, (corner) => corner[axis]));
    return this.#index()
      .range(left, low, right, high)
      .filter((row) => shown[row] && polygonContains(polygon, [positions[2 * row], positions[2 * row + 1]]));
  }

  /** The pixel of a row's point, in CSS pixels from the corner of the plot. */
  screen(row) {
    return this.view.toScreen(this.positions[2 * row], this.positions[2 * row + 1]);
  }

  /** Brings a row to the middle of what is not covered, nearer than before unless it is near. */
  fly(row) {
    const { view, positions } = this;
    const scale = Math.max(view.scale, view.whole * 4);
    view.show(positions[2 * row], positions[2 * row + 1] - this.covered / 2 / scale, scale);
  }

  /** Draws in the next frame. */
  request() {
    if (this.requested) return;
    this.requested = true;
    requestAnimationFrame(() => {
      this.requested = false;
      this.draw();
    });
  }

  draw() {
    // Points of a crowded view are small and let others shine through.
    const room = this.#room();
    this.size = Math.max(2.4, Math.min(8, 1.1 * room));
    const opacity = Math.max(0.4, Math.min(0.92, 0.44 + 0.065 * room));
    const { progress, size, background } = this;
    this.points.draw(this.view, { progress, size, opacity, faint: 0.22, background });
    for (const listener of this.listeners) listener(this);
  }

  #restore() {
    this.points = Points.create(this.canvas, this.n);
    this.place(this.positions);
    this.colour(this.colouring);
    this.select(this.selected);
  }

  /** Finds rows by their places. It is made when it is first needed, after the first picture. */
  #index() {
    const { n, positions } = this;
    if (!this.tree) {
      this.tree = new KDBush(n, 64, Float32Array);
      for (let i = 0; i < n; i++) this.tree.add(positions[2 * i], positions[2 * i + 1]);
      this.tree.finish();
    }
    return this.tree;
  }

  /** The side of the square, in pixels, that a point has for itself where points in view are. */
  #room() {
    const { positions, shown } = this;
    const { width, height } = this.view;
    const { k, x: left, y: top } = this.view.transform;
    const columns = Math.ceil(width / CELL);
    const cells = new Uint8Array(columns * Math.ceil(height / CELL));
    let [inside, taken] = [0, 0];
    for (let i = 0; i < this.n; i++) {
      if (!shown[i]) continue;
      const [x, y] = [left + k * positions[2 * i], top - k * positions[2 * i + 1]];
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const cell = columns * Math.floor(y / CELL) + Math.floor(x / CELL);
      inside++;
      if (!cells[cell]) taken += cells[cell] = 1;
    }
    return Math.sqrt((taken * CELL * CELL) / Math.max(1, inside));
  }

  /** Rows without a value first, selected ones last, the others in a random order. */
  #sort() {
    const { shuffled, shown, none, selected } = this;
    const rows = new Uint32Array(this.n);
    let k = 0;
    for (let pass = 0; pass < 3; pass++) {
      for (const i of shuffled) {
        if (shown[i] && (selected?.[i] ? 2 : none[i] ? 0 : 1) === pass) rows[k++] = i;
      }
    }
    this.points.show(rows.subarray(0, k));
    this.request();
  }
}
