// Which rows are shown: values of categories that are hidden, and limits of numbers.
import { NONE } from "./catalogue.js";

export class Filters {
  /** @param {import("./catalogue.js").Catalogue} catalogue */
  constructor(catalogue) {
    this.catalogue = catalogue;
    /** @type {Map<string, Set<number>>} hidden codes by column */
    this.hidden = new Map();
    /** @type {Map<string, [number, number]>} limits by column, both included */
    this.limits = new Map();
    /** @type {Uint8Array} 1 for rows that are shown */
    this.shown = new Uint8Array(catalogue.n).fill(1);
    this.total = catalogue.n;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
  }

  /** Whether a row is hidden by anything. */
  get active() {
    return [...this.hidden.values()].some((codes) => codes.size > 0) || this.limits.size > 0;
  }

  /** The rows that are shown. @returns {number[]} */
  rows() {
    return [...this.shown.keys()].filter((row) => this.shown[row]);
  }

  isHidden(name, code) {
    return this.hidden.get(name)?.has(code) ?? false;
  }

  /** Shows or hides one value of a category. */
  toggle(name, code) {
    const codes = this.#codes(name);
    if (!codes.delete(code)) codes.add(code);
    this.#changed();
  }

  /** Shows one value only; all where it was the only one already. */
  only(name, code) {
    const others = new Set([...this.catalogue.columns.get(name).values.keys(), NONE]);
    others.delete(code);
    const hidden = this.#codes(name);
    const already = !hidden.has(code) && hidden.size === others.size;
    this.hidden.set(name, already ? new Set() : others);
    this.#changed();
  }

  /** Limits a number; null takes the limits away. Rows without the number are hidden by limits. */
  limit(name, limits) {
    if (limits) this.limits.set(name, limits);
    else this.limits.delete(name);
    this.#changed();
  }

  /** Shows all rows. */
  clear() {
    this.hidden.clear();
    this.limits.clear();
    this.#changed();
  }

  #codes(name) {
    if (!this.hidden.has(name)) this.hidden.set(name, new Set());
    return this.hidden.get(name);
  }

  #changed() {
    const { shown, catalogue } = this;
    shown.fill(1);
    for (const [name, hidden] of this.hidden) {
      const codes = catalogue.values.get(name);
      if (!codes || hidden.size === 0) continue;
      const hide = new Uint8Array(256);
      for (const code of hidden) hide[code] = 1;
      for (let i = 0; i < shown.length; i++) if (hide[codes[i]]) shown[i] = 0;
    }
    for (const [name, [low, high]] of this.limits) {
      const numbers = catalogue.values.get(name);
      if (!numbers) continue;
      for (let i = 0; i < shown.length; i++) {
        // A comparison with NaN is false.
        if (!(numbers[i] >= low && numbers[i] <= high)) shown[i] = 0;
      }
    }
    this.total = shown.reduce((sum, each) => sum + each, 0);
    for (const listener of this.listeners) listener();
  }
}
