// What the page says of the whole map: title, count, menus and dialogs.
import { byId, element, fill } from "./dom.js";
import { fillDialog, fillHelp } from "./keyboard.js";
import { count, counted } from "./numbers.js";

const PROJECTIONS = { umap: "UMAP", pca: "PCA", tsne: "t-SNE" };

/**
 * Fills title, menus and dialogs.
 * @param {any} map the value of data/map.js
 * @param {{projection: string, colour: string|null}} state
 */
export function showTexts(map, { projection, colour }) {
  const rows = counted(map.n, map.rows);
  document.title = `${map.title}: map`;
  if (map.rows === "objects") byId("search").placeholder = "Object id";
  byId("title").textContent = map.title;
  byId("plot").setAttribute("aria-label", `Map of ${rows}`);
  fillMenu("projection", projection, map.projections.map((name) => [name, PROJECTIONS[name] ?? name]));
  fillMenu("colour", colour ?? "", map.columns.map((column) => [column.name, column.title]));
  showProjection(map, projection);
  fillHelp(byId("help-dialog"));
  const notes = (map.notes ?? []).map((note) => element("li", {}, note));
  fillDialog(
    byId("about-dialog"),
    "about-title",
    "About this map",
    element("p", {}, `${rows} of ${map.title}. Points that are near have similar vectors.`),
    notes.length ? fill(element("ul"), ...notes) : null,
    map.model ? element("p", { class: "muted" }, "Model: ", element("span", { class: "mono" }, map.model)) : null,
  );
}

/** Says what is known of the projection that is shown. */
export function showProjection(map, projection) {
  byId("projection-note").textContent = map.projection_notes?.[projection] ?? "";
}

/** Says how many rows are shown. */
export function showCount({ n, rows }, total) {
  byId("count").textContent = total === n ? counted(n, rows) : `${count(total)} of ${counted(n, rows)}`;
}

function fillMenu(id, value, options) {
  fill(byId(id), ...options.map(([name, words]) => element("option", { value: name }, words)));
  byId(id).value = value;
}
