// Marks over the points: the row under the pointer, the pinned row and its nearest, the lasso.
import { byId, fill, svg } from "./dom.js";

export class Marks {
  /** @param {import("./plot.js").Plot} plot */
  constructor(plot) {
    this.plot = plot;
    this.hovered = -1;
    this.pinned = -1;
    /** @type {number[]} */
    this.nearest = [];
    this.focused = -1;
    /** @type {[number, number][]} */
    this.path = [];
    plot.listeners.push(() => this.draw());
  }

  set(changes) {
    Object.assign(this, changes);
    this.draw();
  }

  draw() {
    const { plot } = this;
    const circle = (row, radius, name) => {
      const [cx, cy] = plot.screen(row);
      return svg("circle", { cx, cy, r: radius, class: name });
    };
    const radius = plot.size / 2;
    const marks = [];
    if (this.pinned >= 0) {
      const [x1, y1] = plot.screen(this.pinned);
      for (const row of this.nearest) {
        const [x2, y2] = plot.screen(row);
        marks.push(svg("line", { x1, y1, x2, y2, class: "link" }));
      }
      for (const row of this.nearest) marks.push(circle(row, radius + 3, "near"));
      marks.push(circle(this.pinned, radius + 9, "halo"), circle(this.pinned, radius + 5, "pin"));
    }
    if (this.focused >= 0) marks.push(circle(this.focused, radius + 6, "pin"));
    if (this.hovered >= 0) marks.push(circle(this.hovered, radius + 3, "over"));
    if (this.path.length > 2) {
      marks.push(svg("polygon", { points: this.path.join(" "), class: "lasso" }));
    }
    fill(byId("marks"), ...marks);
  }
}
