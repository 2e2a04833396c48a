// The selected rows, and their export.
import { csv, fileName, save } from "./csv.js";
import { byId } from "./dom.js";
import { counted } from "./numbers.js";

export class Selection {
  /**
   * @param {import("./catalogue.js").Catalogue} catalogue
   * @param {import("./plot.js").Plot} plot
   * @param {import("./filters.js").Filters} filters
   */
  constructor(catalogue, plot, filters) {
    Object.assign(this, { catalogue, plot, filters });
    /** @type {number[]} in order */
    this.rows = [];
    byId("clear").addEventListener("click", () => this.set([]));
    byId("export").addEventListener("click", () => this.export());
    filters.listeners.add(() => this.set(this.rows.filter((row) => filters.shown[row])));
  }

  /** Selects rows of those that are shown. @param {number[]} rows */
  set(rows) {
    const shown = this.filters.shown;
    this.rows = [...new Set(rows)].filter((row) => shown[row]).sort((a, b) => a - b);
    let marks = null;
    if (this.rows.length) {
      marks = new Uint8Array(this.catalogue.n);
      for (const row of this.rows) marks[row] = 1;
    }
    if (marks || this.plot.selected) this.plot.select(marks);
    this.#say();
  }

  /** Saves the selected rows as CSV; all that are shown where none is selected. */
  async export() {
    const { catalogue, filters } = this;
    const output = byId("selected");
    try {
      await catalogue.readIds();
      for (const name of catalogue.columns.keys()) await catalogue.column(name);
    } catch (error) {
      output.textContent = `not exported: ${error.message}`;
      return;
    }
    const rows = this.rows.length ? this.rows : filters.rows();
    save(csv(catalogue, rows), fileName(catalogue.map.title, this.rows.length ? "selection" : "shown"));
  }

  #say() {
    const { map } = this.catalogue;
    const chosen = this.rows.length;
    byId("selected").textContent = chosen ? counted(chosen, map.rows) : "none";
    const shown = counted(this.filters.total, map.rows);
    byId("export-note").textContent = chosen ? "" : `Exports all that are shown: ${shown}.`;
    byId("clear").disabled = !chosen;
  }
}
