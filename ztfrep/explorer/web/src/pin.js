// The pinned row: its panel, its marks, and the way through its nearest.
import { announce, byId } from "./dom.js";
import { title } from "./facts.js";
import { Panel } from "./panel.js";

export class Pin {
  /**
   * @param {import("./catalogue.js").Catalogue} catalogue
   * @param {import("./plot.js").Plot} plot
   * @param {import("./filters.js").Filters} filters
   * @param {import("./marks.js").Marks} marks
   * @param {(row: number|null, step: boolean) => void} changed before the row is shown
   */
  constructor(catalogue, plot, filters, marks, changed) {
    Object.assign(this, { catalogue, plot, marks, changed });
    /** @type {number|null} */
    this.row = null;
    /** The row that was pinned first and its nearest, and which of them is pinned. */
    [this.nearest, this.at] = [[], -1];
    this.panel = new Panel(catalogue, {
      close: () => this.set(null),
      go: (row) => {
        this.set(row, true);
        // The button is gone with the row that was pinned before.
        byId("pinned").focus({ preventScroll: true });
      },
      focus: (row) => marks.set({ focused: row }),
      isShown: (row) => filters.shown[row] === 1,
    });
    filters.listeners.add(() => this.panel.update());
  }

  /**
   * Pins a row, or none for null.
   * @param {number|null} row
   * @param {boolean} fly whether the row is brought to the middle
   * @param {boolean} step whether the button Back returns from it
   */
  async set(row, fly = false, step = true) {
    const { plot } = this;
    this.row = row;
    this.changed(row, step);
    this.marks.set({ pinned: row ?? -1, nearest: [], focused: -1, hovered: -1 });
    document.body.classList.toggle("with-panel", row !== null);
    if (row === null) {
      plot.covered = 0;
      this.panel.hide();
      plot.canvas.focus({ preventScroll: true });
      return;
    }
    if (!this.#isNear(row)) [this.nearest, this.at] = [[], -1];
    const shown = this.#show(row);
    plot.resize();
    plot.covered = this.#covered();
    if (fly) plot.fly(row);
    await shown;
  }

  /** Goes to the next or previous of the nearest of the row that was pinned first. */
  step(by) {
    const rows = this.nearest.length;
    if (!rows) return;
    this.at = this.at < 0 && by < 0 ? rows - 1 : (this.at + by + rows) % rows;
    this.set(this.nearest[this.at], true);
  }

  async #show(row) {
    const detail = await this.panel.show(row);
    if (this.row !== row) return;
    const near = (detail?.neighbours ?? []).map(([other]) => other);
    this.marks.set({ nearest: near });
    if (!this.#isNear(row)) [this.nearest, this.at] = [[row, ...near], 0];
    const what = this.catalogue.value("predicted_class", row);
    announce(`Pinned ${title(this.catalogue, row, detail)}${what ? `, predicted ${what}` : ""}`);
  }

  /** How much of the map the panel covers, as it does on a phone. */
  #covered() {
    const [map, panel] = [byId("map"), byId("pinned")].map((node) => node.getBoundingClientRect());
    return panel.left < map.right ? Math.max(0, map.bottom - panel.top) : 0;
  }

  #isNear(row) {
    return this.nearest[this.at] === row;
  }
}
