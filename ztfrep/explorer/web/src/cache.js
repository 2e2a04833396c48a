// The values that were used last.

/** Keeps up to `size` values; the one that was not used for longest is dropped first. */
export class Cache {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    /** @type {Map<any, any>} */
    this.values = new Map();
  }

  /** The value of a key, made by `make` where it is not kept. A promise that fails is not kept. */
  get(key, make) {
    const kept = this.values.get(key);
    const value = kept === undefined ? make() : kept;
    this.values.delete(key);
    this.values.set(key, value);
    if (kept === undefined) {
      value.catch?.(() => this.values.delete(key));
      if (this.values.size > this.size) this.values.delete(this.values.keys().next().value);
    }
    return value;
  }
}
