// The catalogue of the map: its columns, projections, ids and details of rows, read as needed.
import { bytes, numbers } from "./base64.js";
import { Cache } from "./cache.js";
import { load } from "./loader.js";

const TYPES = { float32: Float32Array, float64: Float64Array };

/** The code of a row without a category. */
export const NONE = 255;

export class Catalogue {
  /** @param {any} map the value of data/map.js */
  constructor(map) {
    this.map = map;
    this.n = map.n;
    /** @type {Map<string, any>} descriptions of columns by name */
    this.columns = new Map(map.columns.map((column) => [column.name, column]));
    this.values = new Map();
    this.projections = new Map();
    this.details = new Cache(64);
    /** @type {{object_id: string[], candid: (string|null)[]|null}|null} */
    this.ids = null;
  }

  /** Reads data/map.js. */
  static async open() {
    return new Catalogue(await load("map"));
  }

  /** Positions x0 y0 x1 y1 ... in [-1, 1]. @returns {Promise<Float32Array>} */
  async projection(name) {
    if (!this.projections.has(name)) {
      this.projections.set(name, numbers(await load(`projection-${name}`), Float32Array));
    }
    return this.projections.get(name);
  }

  /** Codes of a category or numbers, NaN where there is none. @returns {Promise<Uint8Array|Float32Array|Float64Array>} */
  async column(name) {
    if (!this.values.has(name)) {
      const { kind, type } = this.columns.get(name);
      const text = await load(`column-${name}`);
      const decoded = kind === "category" ? bytes(text) : numbers(text, TYPES[type]);
      this.values.set(name, decoded);
    }
    return this.values.get(name);
  }

  /** The value of a row in a column that was read: text, a number, or null. */
  value(name, row) {
    const column = this.columns.get(name);
    const values = this.values.get(name);
    if (!column || !values) return null;
    if (column.kind === "category") return column.values[values[row]] ?? null;
    return Number.isNaN(values[row]) ? null : values[row];
  }

  /** The colour of a category of a column. */
  colour(name, code) {
    return this.columns.get(name)?.colours[code] ?? this.map.unlabelled;
  }

  /** Reads the ids of all rows, for searching and exporting. */
  async readIds() {
    this.ids ??= await load("ids");
    return this.ids;
  }

  /** Details of one row. */
  async detail(row) {
    const rows = this.map.detail_rows;
    const k = Math.floor(row / rows);
    const block = await this.details.get(k, () => load(`details-${k}`));
    return block[row - k * rows];
  }
}
