// The part of the plane that is shown: which point is in the middle and how many pixels a unit takes.

/** Around the whole map there is some room. */
const MARGIN = 1.06;
/** Zooming ends at these factors of the view of the whole map. */
const [OUT, IN] = [0.4, 20000];

export class Camera {
  constructor() {
    [this.width, this.height] = [1, 1];
    [this.x, this.y, this.scale] = [0, 0, 1];
    /** The middle of the whole map and half its width and height. */
    this.box = { x: 0, y: 0, width: 1, height: 1 };
  }

  /** Takes the box of positions x0 y0 x1 y1 ... as the whole map. @param {Float32Array} positions */
  enclose(positions) {
    const [low, high] = [[Infinity, Infinity], [-Infinity, -Infinity]];
    for (let k = 0; k < positions.length; k++) {
      if (positions[k] < low[k & 1]) low[k & 1] = positions[k];
      if (positions[k] > high[k & 1]) high[k & 1] = positions[k];
    }
    const half = (k) => Math.max(1e-3, (high[k] - low[k]) / 2);
    const middle = (k) => (high[k] + low[k]) / 2;
    this.box = { x: middle(0), y: middle(1), width: half(0), height: half(1) };
  }

  /** Pixels of a unit where the whole map is shown. */
  get whole() {
    const { width, height } = this.box;
    return Math.min(this.width / width, this.height / height) / 2 / MARGIN;
  }

  /** Whether just the whole map is shown. */
  get isWhole() {
    const { x, y } = this.box;
    const [px, py] = this.toScreen(x, y);
    const centred = Math.hypot(px - this.width / 2, py - this.height / 2) < 1;
    return centred && Math.abs(this.scale / this.whole - 1) < 1e-3;
  }

  /** Shows the whole map. */
  reset() {
    [this.x, this.y, this.scale] = [this.box.x, this.box.y, this.whole];
  }

  /** Sets the size in CSS pixels and keeps what is in the middle, at the same factor of the whole. */
  resize(width, height) {
    const factor = this.scale / this.whole;
    const first = this.width === 1;
    [this.width, this.height] = [width, height];
    if (first) this.reset();
    else this.scale = factor * this.whole;
  }

  /** The pixel of a place. @returns {[number, number]} */
  toScreen(x, y) {
    const [right, up] = [(x - this.x) * this.scale, (y - this.y) * this.scale];
    return [this.width / 2 + right, this.height / 2 - up];
  }

  /** The place of a pixel. @returns {[number, number]} */
  toPlane(px, py) {
    const [right, up] = [px - this.width / 2, this.height / 2 - py];
    return [this.x + right / this.scale, this.y + up / this.scale];
  }

  /** Moves what is shown by pixels. */
  pan(dx, dy) {
    this.x = clamp(this.x - dx / this.scale, -1.5, 1.5);
    this.y = clamp(this.y + dy / this.scale, -1.5, 1.5);
  }

  /** Zooms by a factor; the place at a pixel stays where it is. */
  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toPlane(px, py);
    this.scale = clamp(this.scale * factor, this.whole * OUT, this.whole * IN);
    const [nowX, nowY] = this.toPlane(px, py);
    this.x += x - nowX;
    this.y += y - nowY;
  }
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
