// The panel of the pinned row: all that the hover card has, larger, and its nearest rows.
import { byId, element, fill } from "./dom.js";
import { classOf, definitions, magnitude, prediction, probabilities, title } from "./facts.js";
import { lightCurve } from "./lightcurve.js";
import { count, dateOf, fixed, sexagesimal, short } from "./numbers.js";
import { stamps } from "./stamps.js";

const TERMS = {
  anomaly_score: "score",
  neighbour_distance: "distance to its nearest",
  class_entropy: "entropy of the classes",
  reconstruction_error: "reconstruction error",
};

export class Panel {
  /**
   * @param {import("./catalogue.js").Catalogue} catalogue
   * @param {{close: () => void, go: (row: number) => void, focus: (row: number) => void,
   *   isShown: (row: number) => boolean}} on
   */
  constructor(catalogue, on) {
    this.catalogue = catalogue;
    this.on = on;
    this.row = -1;
    this.detail = null;
    this.whole = false;
    this.node = byId("pinned");
  }

  hide() {
    this.row = -1;
    this.node.hidden = true;
    fill(this.node);
  }

  /** Shows a row. @returns {Promise<any>} its details, or null where they could not be read */
  async show(row) {
    [this.row, this.detail] = [row, null];
    this.node.hidden = false;
    this.node.dataset.row = String(row);
    this.#fill(row, null);
    this.node.scrollTop = 0;
    let detail = null;
    try {
      detail = await this.catalogue.detail(row);
    } catch {
      if (row !== this.row) return null;
      this.node.append(element("p", { class: "group" }, "The details of this row could not be read."));
      return null;
    }
    if (row === this.row) this.#fill(row, (this.detail = detail));
    return detail;
  }

  /** Shows what was read since, where the reader is. */
  refresh() {
    if (this.row < 0 || !this.detail) return;
    const top = this.node.scrollTop;
    this.#fill(this.row, this.detail);
    this.node.scrollTop = top;
  }

  /** Says whether the filters hide the row. */
  update() {
    if (this.row >= 0) byId("hidden-note").hidden = this.on.isShown(this.row);
  }

  #fill(row, detail) {
    const close = element("button", { type: "button", class: "close", "aria-label": "Close", title: "Close (Escape)", onclick: this.on.close }, "×");
    const heading = element("h2", { class: "id" }, title(this.catalogue, row, detail));
    const candid = detail?.candid ?? this.catalogue.ids?.candid?.[row];
    const link = detail?.link && element("a", { href: safe(detail.link), target: "_blank", rel: "noreferrer noopener" }, "Open in ALeRCE ↗");
    const head = element(
      "div",
      { class: "group head" },
      element("div", { class: "row" }, heading, close),
      candid && element("p", { class: "muted mono" }, `candid ${candid}`),
      link && element("p", {}, link),
      element("p", { id: "hidden-note", class: "muted", hidden: this.on.isShown(row) }, "The filters hide this row in the map."),
    );
    const parts = [head, this.#stamps(row), ...this.#facts(row, detail)];
    if (detail) parts.push(this.#nearest(detail));
    fill(this.node, ...parts.filter(Boolean));
  }

  #stamps(row) {
    const { map } = this.catalogue;
    if (!map.stamps) return element("div", { class: "group" }, element("p", { class: "muted" }, "This catalogue has no stamps."));
    const holder = element("div", {}, stamps(map, row, { whole: this.whole }));
    const button = element("button", { type: "button", class: "quiet", "aria-pressed": String(this.whole) }, "Whole stamps");
    button.addEventListener("click", () => {
      this.whole = !this.whole;
      button.setAttribute("aria-pressed", String(this.whole));
      fill(holder, stamps(map, row, { whole: this.whole }));
    });
    return element("section", { class: "group" }, element("div", { class: "row" }, element("h3", {}, "Stamps"), button), holder);
  }

  #facts(row, detail) {
    const { catalogue } = this;
    const facts = definitions([
      ["class", classOf(catalogue, "class", row) ?? (catalogue.columns.has("class") && element("span", { class: "muted" }, "none"))],
      ["predicted", prediction(catalogue, row, detail)],
      ["split", catalogue.value("split", row)],
      ["magnitude", magnitude(catalogue, row, detail)],
      ["time", time(detail)],
      ["position", position(detail)],
      ["alerts", detail?.n_alerts && count(detail.n_alerts)],
      ["observations", detail?.n_observations && count(detail.n_observations)],
    ]);
    const parts = [];
    if (detail?.light_curve) {
      const curve = lightCurve(catalogue.map, detail, { width: 340, height: 200 });
      parts.push(element("section", { class: "group" }, element("h3", {}, "Light curve"), curve));
    }
    parts.push(element("section", { class: "group" }, facts));
    if (detail?.probabilities?.length) {
      parts.push(element("section", { class: "group" }, element("h3", {}, "Class probabilities"), probabilities(catalogue, detail)));
    }
    const scores = { anomaly_score: detail?.anomaly_score, ...detail?.anomaly };
    const anomaly = Object.entries(scores).filter(([, value]) => Number.isFinite(value));
    if (anomaly.length) {
      const terms = anomaly.map(([name, value]) => [TERMS[name] ?? name, short(value)]);
      parts.push(element("section", { class: "group" }, element("h3", {}, "Anomaly"), definitions(terms)));
    }
    return parts;
  }

  #nearest(detail) {
    const { catalogue, on } = this;
    if (!detail.neighbours?.length) return null;
    const rows = detail.neighbours.map(([row, distance]) => {
      const button = element(
        "button",
        { type: "button", "data-row": row, onclick: () => on.go(row) },
        catalogue.map.stamps && stamps(catalogue.map, row, { labels: false }),
        element(
          "span",
          { class: "name" },
          element("span", { class: "id" }, title(catalogue, row, null)),
          classOf(catalogue, "class", row) ?? classOf(catalogue, "predicted_class", row),
        ),
        element("span", { class: "number muted", title: "cosine distance" }, short(distance)),
      );
      for (const [event, value] of [["pointerenter", row], ["focus", row], ["pointerleave", -1], ["blur", -1]]) {
        button.addEventListener(event, () => on.focus(value));
      }
      return element("li", {}, button);
    });
    return element(
      "section",
      { class: "group" },
      element("div", { class: "row" }, element("h3", {}, "Nearest"), element("span", { class: "muted" }, "cosine distance")),
      fill(element("ol", { id: "neighbours" }), ...rows),
    );
  }
}

/** A link that opens a page of the web and nothing else. */
const safe = (link) => (/^https:\/\//.test(link) ? link : null);

function time(detail) {
  if (!Number.isFinite(detail?.mjd)) return null;
  return element("span", {}, `MJD ${fixed(detail.mjd, 4)}`, element("br"), element("span", { class: "muted" }, `${dateOf(detail.mjd)} UTC`));
}

function position(detail) {
  if (!Number.isFinite(detail?.ra) || !Number.isFinite(detail?.dec)) return null;
  const degrees = `${fixed(detail.ra, 5)}°, ${detail.dec < 0 ? "" : "+"}${fixed(detail.dec, 5)}°`;
  const text = `${sexagesimal(detail.ra, true)} ${sexagesimal(detail.dec, false)}`;
  return element("span", {}, degrees, element("br"), element("span", { class: "muted" }, text));
}
