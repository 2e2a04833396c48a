// The card beside the pointer.
import { byId, element, fill } from "./dom.js";
import { classOf, definitions, magnitude, prediction, title } from "./facts.js";
import { lightCurve } from "./lightcurve.js";
import { stamps } from "./stamps.js";

/** The pointer rests so long, in ms, before stamps and light curve are read. */
const REST = 70;

export class Hover {
  /** @param {import("./catalogue.js").Catalogue} catalogue */
  constructor(catalogue) {
    this.catalogue = catalogue;
    this.row = -1;
    this.timer = 0;
    this.card = byId("hover");
  }

  /** Shows the card of a row near a pointer; hides it for -1. */
  show(row, event) {
    if (row !== this.row) {
      this.row = row;
      clearTimeout(this.timer);
      if (row < 0) {
        this.card.hidden = true;
        return;
      }
      this.#fill(row, null);
      this.card.hidden = false;
      this.timer = setTimeout(() => this.#read(row), REST);
    }
    if (row >= 0) this.#move(event);
  }

  async #read(row) {
    const { catalogue } = this;
    let detail = null;
    let problem = null;
    try {
      detail = await catalogue.detail(row);
    } catch {
      problem = element("p", { class: "muted" }, "The details of this row could not be read.");
    }
    // The pointer may be at another row by now.
    if (row !== this.row) return;
    const pictures = catalogue.map.stamps ? stamps(catalogue.map, row) : null;
    const curve = detail?.light_curve && lightCurve(catalogue.map, detail, { width: 300, height: 150 });
    this.#fill(row, detail, pictures, curve, problem);
    this.#move();
  }

  #fill(row, detail, ...more) {
    const { catalogue } = this;
    const head = element("div", { class: "row" }, element("strong", { class: "id" }, title(catalogue, row, detail)));
    const list = definitions([
      ["class", classOf(catalogue, "class", row)],
      ["predicted", prediction(catalogue, row, detail)],
      ["magnitude", magnitude(catalogue, row, detail)],
    ]);
    fill(this.card, head, list, ...more);
    this.card.dataset.row = String(row);
  }

  /** Puts the card beside the pointer, inside the map. */
  #move(event) {
    if (event) this.at = [event.clientX, event.clientY];
    const box = this.card.parentElement.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.card;
    const [x, y] = [this.at[0] - box.left, this.at[1] - box.top];
    const left = x + 18 + width < box.width ? x + 18 : x - 18 - width;
    const top = Math.min(Math.max(8, y - height / 3), box.height - height - 8);
    this.card.style.transform = `translate(${Math.round(Math.max(8, left))}px, ${Math.round(Math.max(8, top))}px)`;
  }
}
