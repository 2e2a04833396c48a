// Controls of the filters: values of categories and limits of numbers.
import { extent } from "d3-array";
import { byId, element, fill } from "./dom.js";
import { categories } from "./legend.js";
import { short } from "./numbers.js";

/**
 * Shows a control for each column; its values are read when it is opened.
 * @param {import("./catalogue.js").Catalogue} catalogue
 * @param {import("./filters.js").Filters} filters
 * @param {(name: string) => Promise<any>} read a column
 */
export function showFilters(catalogue, filters, read) {
  const groups = [...catalogue.columns.values()].map((column) => {
    const state = element("span", { class: "muted state" });
    const body = element("div", { class: "body" });
    const group = element(
      "details",
      { id: `filter-${column.name}`, "data-column": column.name },
      element("summary", {}, column.title, state),
      body,
    );
    group.addEventListener("toggle", async () => {
      if (!group.open || body.firstChild) return;
      try {
        await read(column.name);
      } catch (error) {
        fill(body, element("p", { class: "muted" }, `${column.title} could not be read.`));
        return;
      }
      const make = column.kind === "category" ? categories : limits;
      if (!body.firstChild) fill(body, make(catalogue, filters, column));
    });
    return group;
  });
  fill(byId("filters"), ...groups);
}

/** Says at each control what it hides. */
export function updateFilters(catalogue, filters) {
  for (const group of document.querySelectorAll("#filters details")) {
    const name = group.dataset.column;
    const column = catalogue.columns.get(name);
    const hidden = filters.hidden.get(name)?.size ?? 0;
    const range = filters.limits.get(name);
    const span = column.high - column.low;
    const text = range ? `${short(range[0], span)} to ${short(range[1], span)}` : hidden ? `${hidden} hidden` : "";
    group.querySelector(".state").textContent = text;
    if (!range) group.querySelectorAll("input").forEach((input) => input.dispatchEvent(new Event("release")));
  }
  byId("show-all").hidden = !filters.active;
}

/** Two sliders and two numbers for the limits of a column. */
function limits(catalogue, filters, column) {
  const [least, most] = extent(catalogue.values.get(column.name));
  const step = 10 ** Math.floor(Math.log10((most - least || 1) / 200));
  const digits = Math.max(0, -Math.round(Math.log10(step)));
  const low = Math.floor(least / step) * step;
  const high = Math.ceil(most / step) * step;
  const ends = [low, high];
  const inputs = ["least", "most"].map((end, k) => {
    const common = { min: low.toFixed(digits), max: high.toFixed(digits), step: step.toFixed(digits) };
    const words = `${end === "least" ? "lowest" : "highest"} ${column.title}`;
    const slider = element("input", { type: "range", ...common, "aria-label": words, "data-end": end });
    const number = element("input", { type: "number", ...common, "aria-label": words, "data-end": end });
    const show = (value) => {
      slider.value = String(value);
      number.value = value.toFixed(digits);
    };
    const change = (value) => {
      if (!Number.isFinite(value)) return;
      ends[k] = k === 0 ? Math.min(value, ends[1]) : Math.max(value, ends[0]);
      show(ends[k]);
      const all = ends[0] <= low && ends[1] >= high;
      filters.limit(column.name, all ? null : [ends[0], ends[1]]);
    };
    slider.addEventListener("input", () => change(slider.valueAsNumber));
    number.addEventListener("change", () => change(number.valueAsNumber));
    slider.addEventListener("release", () => {
      ends[k] = k === 0 ? low : high;
      show(ends[k]);
    });
    show(ends[k]);
    return { slider, number };
  });
  return element(
    "div",
    { class: "limits" },
    element("div", { class: "sliders" }, ...inputs.map(({ slider }) => slider)),
    element("div", { class: "row" }, inputs[0].number, element("span", { class: "muted" }, column.unit ?? "to"), inputs[1].number),
    element("p", { class: "note muted" }, "Limits hide the rows without a value too."),
  );
}
