// What the colours mean: categories that can be hidden, or the scale of a number.
import { NONE } from "./catalogue.js";
import { byId, element, fill, swatch } from "./dom.js";
import { count, short } from "./numbers.js";

/**
 * Shows the legend of a column.
 * @param {import("./catalogue.js").Catalogue} catalogue whose column was read
 * @param {import("./filters.js").Filters} filters
 * @param {string} name of the column
 */
export function showLegend(catalogue, filters, name) {
  const column = catalogue.columns.get(name);
  const node = byId("legend");
  if (column.kind === "category") fill(node, categories(catalogue, filters, column));
  else fill(node, bar(catalogue, column));
}

/** Values of a category with how many rows have them; a click hides one, with shift all others. */
export function categories(catalogue, filters, column) {
  const { name } = column;
  const counts = countsOf(catalogue.values.get(name));
  const codes = [...column.values.keys(), NONE].filter((code) => counts[code] > 0);
  const rows = codes.map((code) => {
    const button = element(
      "button",
      {
        type: "button",
        "data-code": code,
        "aria-pressed": String(!filters.isHidden(name, code)),
        title: "Click hides or shows these rows; with Shift or Alt, shows them only",
      },
      swatch(catalogue.colour(name, code)),
      element("span", { class: "name" }, code === NONE ? `no ${column.title}` : column.values[code]),
      element("span", { class: "number muted" }, count(counts[code])),
    );
    button.addEventListener("click", (event) => {
      if (event.shiftKey || event.altKey) filters.only(name, code);
      else filters.toggle(name, code);
    });
    return element("li", {}, button);
  });
  return fill(element("ul", { class: "categories", "data-column": name }), ...rows);
}

/** Tells the buttons of all categories whether their rows are hidden. */
export function updateCategories(filters) {
  for (const list of document.querySelectorAll(".categories")) {
    for (const button of list.querySelectorAll("button")) {
      const hidden = filters.isHidden(list.dataset.column, Number(button.dataset.code));
      button.setAttribute("aria-pressed", String(!hidden));
    }
  }
}

function countsOf(codes) {
  const counts = new Uint32Array(256);
  for (const code of codes) counts[code]++;
  return counts;
}

function bar(catalogue, column) {
  const { low, high, unit, reversed } = column;
  const [left, right] = reversed ? [high, low] : [low, high];
  const strip = element("div", { class: "scale", role: "img", "aria-label": `colours from ${short(left, high - low)} to ${short(right, high - low)}` });
  strip.style.background = `linear-gradient(to right, ${catalogue.map.numbers.join(",")})`;
  const ends = [left, (left + right) / 2, right].map((value) => element("span", {}, short(value, high - low)));
  const missing = catalogue.values.get(column.name).reduce((sum, value) => sum + (Number.isNaN(value) ? 1 : 0), 0);
  return element(
    "div",
    {},
    strip,
    element("div", { class: "row ends" }, ...ends),
    element("p", { class: "note muted" }, unit ? `${column.title} in ${unit}; ` : "", "1st to 99th percentile"),
    missing > 0 && element("p", { class: "note muted" }, swatch(catalogue.map.unlabelled), ` ${count(missing)} without a value`),
  );
}
