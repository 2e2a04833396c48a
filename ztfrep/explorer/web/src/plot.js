// The map itself: draws the rows that are shown, finds the row at a pixel, moves between projections.
import { Camera } from "./camera.js";
import { Points } from "./points.js";

const MOVE = 650;
const FLIGHT = 450;
/** Side of the squares that are counted to see how crowded a view is, in pixels. */
const CELL = 14;

/** Whether the reader asked for less motion. */
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const eased = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);

export class Plot {
  /** Throws an error where there is no WebGL. @param {HTMLCanvasElement} canvas */
  constructor(canvas, n) {
    this.canvas = canvas;
    this.n = n;
    this.camera = new Camera();
    this.points = Points.create(canvas, n);
    /** @type {Float32Array} */
    this.positions = new Float32Array(2 * n);
    this.shown = new Uint8Array(n).fill(1);
    this.none = new Uint8Array(n);
    this.shuffled = shuffle(n);
    /** @type {Uint8Array|null} 1 for selected rows */
    this.selected = null;
    this.background = "#ffffff";
    this.progress = 1;
    /** @type {((plot: Plot) => void)[]} called after each drawing */
    this.listeners = [];
    this.requested = false;
    /** @type {Record<string, number>} how often each kind of animation was begun or stopped */
    this.animations = { move: 0, flight: 0 };
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
    this.camera.resize(width, height);
    // At once: a canvas whose size changes is blank until it is drawn.
    this.draw();
  }

  /** Places the points; with `move` they go there from where they are. */
  async place(positions, move = false) {
    const start = move ? this.positions : positions;
    // Who sees the whole map goes on seeing it.
    const whole = this.camera.isWhole;
    this.positions = positions;
    this.camera.enclose(positions);
    if (whole && start === positions) this.camera.reset();
    else if (whole) this.reset();
    this.points.place(start, positions);
    this.progress = start === positions ? 1 : 0;
    this.request();
    if (start !== positions) {
      await this.#animate("move", MOVE, (t) => (this.progress = t));
    }
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
    const { camera, positions, shown } = this;
    const [x, y] = camera.toPlane(px, py);
    const reach = radius / camera.scale;
    let [row, closest] = [-1, reach * reach];
    for (let i = 0; i < this.n; i++) {
      const dx = positions[2 * i] - x;
      if (dx > reach || dx < -reach || !shown[i]) continue;
      const dy = positions[2 * i + 1] - y;
      const distance = dx * dx + dy * dy;
      if (distance <= closest) [row, closest] = [i, distance];
    }
    return row;
  }

  /** The pixel of a row's point, in CSS pixels from the corner of the plot. */
  screen(row) {
    return this.camera.toScreen(this.positions[2 * row], this.positions[2 * row + 1]);
  }

  /** Brings a row to the middle of what is not covered, nearer than before unless it is near. */
  fly(row) {
    const { camera } = this;
    const [x, y] = [this.positions[2 * row], this.positions[2 * row + 1]];
    const scale = Math.max(camera.scale, camera.whole * 4);
    return this.#travel({ x, y: y - this.covered / 2 / scale, scale });
  }

  /** Shows the whole map. */
  reset() {
    const { x, y } = this.camera.box;
    return this.#travel({ x, y, scale: this.camera.whole });
  }

  pan(dx, dy) {
    this.#stop();
    this.camera.pan(dx, dy);
    this.request();
  }

  zoom(factor, px, py) {
    this.#stop();
    this.camera.zoom(factor, px, py);
    this.request();
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
    const { camera } = this;
    // Points of a crowded view are small and let others shine through.
    const room = this.#room();
    this.size = Math.max(2.4, Math.min(8, 1.1 * room));
    const opacity = Math.max(0.4, Math.min(0.92, 0.44 + 0.065 * room));
    const { progress, size, background } = this;
    this.points.draw(camera, { progress, size, opacity, faint: 0.22, background });
    for (const listener of this.listeners) listener(this);
  }

  #restore() {
    this.points = Points.create(this.canvas, this.n);
    this.place(this.positions);
    this.colour(this.colouring);
    this.select(this.selected);
  }

  /** Stops a flight. */
  #stop() {
    this.animations.flight++;
  }

  /** The side of the square, in pixels, that a point has for itself where points in view are. */
  #room() {
    const { camera, positions, shown } = this;
    const columns = Math.ceil(camera.width / CELL);
    const cells = new Uint8Array(columns * Math.ceil(camera.height / CELL));
    let [inside, taken] = [0, 0];
    for (let i = 0; i < this.n; i++) {
      if (!shown[i]) continue;
      const x = camera.width / 2 + (positions[2 * i] - camera.x) * camera.scale;
      const y = camera.height / 2 - (positions[2 * i + 1] - camera.y) * camera.scale;
      if (x < 0 || y < 0 || x >= camera.width || y >= camera.height) continue;
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

  #travel(to) {
    const { camera } = this;
    const from = { x: camera.x, y: camera.y, scale: camera.scale };
    return this.#animate("flight", FLIGHT, (t) => {
      camera.x = from.x + t * (to.x - from.x);
      camera.y = from.y + t * (to.y - from.y);
      camera.scale = from.scale * (to.scale / from.scale) ** t;
    });
  }

  /** Calls `step` with 0 to 1 until the duration is over or another animation of the kind begins. */
  #animate(kind, duration, step) {
    const mine = ++this.animations[kind];
    return new Promise((resolve) => {
      const begin = performance.now();
      const frame = () => {
        if (mine !== this.animations[kind]) return resolve();
        const t = still.matches ? 1 : Math.min(1, (performance.now() - begin) / duration);
        step(eased(t));
        this.draw();
        if (t === 1) resolve();
        else requestAnimationFrame(frame);
      };
      frame();
    });
  }
}

/** All rows in a random order that is the same each time: no class lies on top of all others. */
function shuffle(n) {
  const rows = Uint32Array.from({ length: n }, (_, i) => i);
  let state = 1;
  for (let i = n - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}
