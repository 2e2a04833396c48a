// What is known of a row, as text and small drawings; the hover card and the panel share it.
import { element, fill, swatch } from "./dom.js";
import { fixed } from "./numbers.js";

/** The title of a row: its object, or its number until that is read. */
export function title(catalogue, row, detail) {
  return detail?.object_id ?? catalogue.ids?.object_id[row] ?? `row ${row}`;
}

/** The class of a row with its colour, or null where it has none. */
export function classOf(catalogue, name, row) {
  const value = catalogue.value(name, row);
  if (value === null) return null;
  const code = catalogue.values.get(name)[row];
  return element("span", { class: "class" }, swatch(catalogue.colour(name, code)), value);
}

/** The predicted class with its probability. */
export function prediction(catalogue, row, detail) {
  const node = classOf(catalogue, "predicted_class", row);
  if (!node) return null;
  const probability = detail?.probabilities && Math.max(...detail.probabilities);
  if (Number.isFinite(probability)) node.append(element("span", { class: "muted" }, ` ${percent(probability)}`));
  return node;
}

export const percent = (probability) => `${fixed(100 * probability, probability < 0.0995 ? 1 : 0)} %`;

/** The magnitude with its unit and filter. */
export function magnitude(catalogue, row, detail) {
  const value = detail?.magpsf ?? catalogue.value("magpsf", row);
  if (value === null || value === undefined) return null;
  const filter = catalogue.map.filters[detail?.fid];
  return element("span", {}, `${fixed(value, 2)} mag`, filter && ` in ${filter[0]}`);
}

/** A list of terms and values; terms without a value are left out. @param {[string, any][]} entries */
export function definitions(entries) {
  const list = element("dl");
  for (const [term, value] of entries) {
    if (value === null || value === undefined || value === false || value === "") continue;
    list.append(element("dt", {}, term), element("dd", {}, value));
  }
  return list;
}

/** Bars of the probabilities of all classes, the largest first. */
export function probabilities(catalogue, detail) {
  const { classes, colours } = catalogue.map;
  const order = [...classes.keys()].sort((a, b) => detail.probabilities[b] - detail.probabilities[a]);
  const rows = order.map((k) => {
    const value = detail.probabilities[k] ?? 0;
    const bar = element("span", { class: "bar" });
    bar.style.width = `${Math.max(0.5, 100 * value)}%`;
    bar.style.background = colours[k % colours.length];
    const track = element("td", { class: "track" }, bar);
    return element("tr", {}, element("th", { scope: "row" }, classes[k]), track, element("td", { class: "number" }, percent(value)));
  });
  return element("table", { class: "bars" }, fill(element("tbody"), ...rows));
}
