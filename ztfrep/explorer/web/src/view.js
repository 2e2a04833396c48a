// The part of the plane that is shown: d3-zoom moves it, by mouse, wheel, fingers and flights.
import { extent } from "d3-array";
import { select } from "d3-selection";
import "d3-transition";
import { zoom, zoomIdentity, zoomTransform } from "d3-zoom";

/** Around the whole map there is some room. */
const MARGIN = 1.06;
/** Zooming ends at these factors of the view of the whole map. */
const [OUT, IN] = [0.5, 20000];
const FLIGHT = 450;
/** A press that moves less is a click, in pixels. */
export const SLACK = 5;
/** Whether the reader asked for less motion. */
export const still = window.matchMedia("(prefers-reduced-motion: reduce)");

export class View {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    [this.width, this.height] = [0, 0];
    /** The middle of the whole map and half its width and height. */
    this.box = { x: 0, y: 0, width: 1, height: 1 };
    this.canvas = canvas;
    this.selection = select(canvas);
    this.behaviour = zoom()
      .extent(() => [[0, 0], [this.width, this.height]])
      .clickDistance(SLACK)
      .duration(still.matches ? 0 : 250);
    this.selection.call(this.behaviour);
  }

  /** Takes the box of positions x0 y0 x1 y1 ... as the whole map. @param {Float32Array} positions */
  enclose(positions) {
    const [[left, right], [low, high]] = [0, 1].map((axis) =>
      extent(positions, (value, k) => (k % 2 === axis ? value : null)),
    );
    const half = (from, to) => Math.max(1e-3, (to - from) / 2);
    this.box = { x: (left + right) / 2, y: (low + high) / 2, width: half(left, right), height: half(low, high) };
    this.#limit();
  }

  /** Sets the size in CSS pixels and keeps what is in the middle, at the same factor of the whole. */
  resize(width, height) {
    if (width === this.width && height === this.height) return;
    const first = this.width === 0;
    const [x, y] = this.toPlane(this.width / 2, this.height / 2);
    const factor = this.scale / this.whole;
    [this.width, this.height] = [width, height];
    this.#limit();
    if (first) this.reset(false);
    else this.show(x, y, factor * this.whole, false);
  }

  /** Of the y axis of the screen, which points down. */
  get transform() {
    return zoomTransform(this.canvas);
  }

  /** Pixels of a unit. */
  get scale() {
    return this.transform.k;
  }

  /** Pixels of a unit where the whole map is shown. */
  get whole() {
    const { width, height } = this.box;
    return Math.min(this.width / width, this.height / height) / 2 / MARGIN;
  }

  /** Whether just the whole map is shown. */
  get isWhole() {
    const [x, y] = this.toScreen(this.box.x, this.box.y);
    const centred = Math.hypot(x - this.width / 2, y - this.height / 2) < 1;
    return centred && Math.abs(this.scale / this.whole - 1) < 1e-3;
  }

  /** The pixel of a place. @returns {[number, number]} */
  toScreen(x, y) {
    return this.transform.apply([x, -y]);
  }

  /** The place of a pixel. @returns {[number, number]} */
  toPlane(px, py) {
    const [x, y] = this.transform.invert([px, py]);
    return [x, -y];
  }

  /** Brings a place to the middle, by a flight unless the reader wants no motion. */
  show(x, y, scale, fly = true) {
    const middle = zoomIdentity.translate(this.width / 2, this.height / 2);
    const moving = fly && !still.matches;
    const moved = moving ? this.selection.transition().duration(FLIGHT) : this.selection;
    moved.call(this.behaviour.transform, middle.scale(scale).translate(-x, y));
  }

  /** Shows the whole map. */
  reset(fly = true) {
    this.show(this.box.x, this.box.y, this.whole, fly);
  }

  /** Moves what is shown by pixels. */
  pan(dx, dy) {
    this.selection.call(this.behaviour.translateBy, dx / this.scale, dy / this.scale);
  }

  /** Zooms by a factor; what is in the middle stays there. */
  zoom(factor) {
    this.selection.call(this.behaviour.scaleBy, factor);
  }

  /** The whole map cannot be lost: it is left by half of its view at most. */
  #limit() {
    const { whole, box } = this;
    const [right, down] = [this.width / whole, this.height / whole];
    this.behaviour
      .scaleExtent([OUT * whole, IN * whole])
      .translateExtent([[box.x - right, -box.y - down], [box.x + right, -box.y + down]]);
  }
}
