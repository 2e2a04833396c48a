// The page of `ztfrep explore`: reads the map, draws it, and joins its parts.
import { readAddress, writeAddress } from "./address.js";
import { Catalogue } from "./catalogue.js";
import { colouring, darkness } from "./colours.js";
import { showFilters, updateFilters } from "./controls.js";
import { announce, byId, element, fill } from "./dom.js";
import { Filters } from "./filters.js";
import { title } from "./facts.js";
import { listen, rowsInside } from "./gestures.js";
import { Hover } from "./hover.js";
import { fillDialog, fillHelp, listenToKeys } from "./keyboard.js";
import { showLegend, updateCategories } from "./legend.js";
import { Marks } from "./marks.js";
import { count, counted } from "./numbers.js";
import { Panel } from "./panel.js";
import { Plot } from "./plot.js";
import { Search } from "./search.js";
import { Selection } from "./selection.js";

class Explorer {
  /** @param {Catalogue} catalogue */
  constructor(catalogue) {
    this.catalogue = catalogue;
    const { map, n } = catalogue;
    this.plot = new Plot(byId("plot"), n);
    this.filters = new Filters(catalogue);
    this.marks = new Marks(this.plot);
    this.hover = new Hover(catalogue);
    this.selection = new Selection(catalogue, this.plot, this.filters);
    this.panel = new Panel(catalogue, {
      close: () => this.pin(null),
      go: (row) => {
        this.pin(row, true);
        // The button is gone with the row that was pinned before.
        byId("pinned").focus({ preventScroll: true });
      },
      focus: (row) => this.marks.set({ focused: row }),
      isShown: (row) => this.filters.shown[row] === 1,
    });
    this.search = new Search(catalogue, (row) => this.pin(row, true));
    /** @type {{projection: string, colour: string, row: number|null}} */
    this.state = { projection: map.projections[0], colour: map.columns[0]?.name ?? null, row: null };
    this.wanted = { projection: null, colour: null };
    this.nearest = [];
    this.at = -1;
    this.lassoing = false;
  }

  /** Reads what the first picture needs and draws it. */
  async start() {
    const { catalogue, state } = this;
    const { map } = catalogue;
    Object.assign(state, this.#addressed(readAddress()));
    this.#texts();
    this.#theme();
    const [positions] = await Promise.all([
      catalogue.projection(state.projection),
      state.colour && catalogue.column(state.colour),
    ]);
    this.plot.place(positions);
    if (state.colour) this.#colour();
    else this.plot.colour({ codes: new Uint8Array(catalogue.n), colours: [map.unlabelled] });
    this.plot.draw();
    performance.mark("first-paint-of-points");
    byId("loading").hidden = true;
    this.#listen();
    if (state.row !== null) this.pin(state.row, true, false);
    this.#identify(readAddress().id);
  }

  /** Reads the rest while the reader looks. */
  async finish() {
    const { catalogue } = this;
    for (const name of catalogue.columns.keys()) await catalogue.column(name);
    await catalogue.readIds();
    this.panel.refresh();
  }

  async project(name) {
    this.wanted.projection = name;
    if (name === this.state.projection) return;
    const positions = await this.#tried(this.catalogue.projection(name), `The projection ${name}`);
    // Another one was asked for while this one was read.
    if (this.wanted.projection !== name) return;
    byId("projection").value = positions ? name : this.state.projection;
    if (!positions) return;
    this.state.projection = name;
    byId("projection-note").textContent = this.catalogue.map.projection_notes?.[name] ?? "";
    this.#address(false);
    this.hover.show(-1);
    this.marks.set({ hovered: -1 });
    await this.plot.place(positions, true);
  }

  async colour(name) {
    this.wanted.colour = name;
    if (name === this.state.colour) return;
    const values = await this.#tried(this.catalogue.column(name), `The column ${name}`);
    if (this.wanted.colour !== name) return;
    byId("colour").value = values ? name : this.state.colour;
    if (!values) return;
    this.state.colour = name;
    this.#address(false);
    this.#colour();
  }

  /**
   * Pins a row, or none for null.
   * @param {number|null} row
   * @param {boolean} fly whether the row is brought to the middle
   * @param {boolean} step whether the button Back returns from it
   */
  async pin(row, fly = false, step = true) {
    this.state.row = row;
    this.#address(step);
    this.marks.set({ pinned: row ?? -1, nearest: [], focused: -1, hovered: -1 });
    this.hover.show(-1);
    if (row === null) {
      document.body.classList.remove("with-panel");
      this.plot.covered = 0;
      this.panel.hide();
      this.plot.canvas.focus({ preventScroll: true });
      return;
    }
    if (!this.#isNear(row)) [this.nearest, this.at] = [[], -1];
    document.body.classList.add("with-panel");
    const pinned = this.#pinned(row);
    this.plot.resize();
    this.plot.covered = this.#covered();
    if (fly) this.plot.fly(row);
    await pinned;
  }

  /** Goes to the next or previous of the nearest of the row that was pinned first. */
  step(by) {
    if (!this.nearest.length) return;
    const rows = this.nearest.length;
    this.at = this.at < 0 && by < 0 ? rows - 1 : (this.at + by + rows) % rows;
    this.pin(this.nearest[this.at], true);
  }

  setLasso(on) {
    this.lassoing = on;
    byId("lasso").setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("lassoing", on);
  }

  /** The rows that are shown. @returns {number[]} */
  visibleRows() {
    return [...this.filters.shown.keys()].filter((row) => this.filters.shown[row]);
  }

  async #pinned(row) {
    const detail = await this.panel.show(row);
    if (this.state.row !== row) return;
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

  #colour() {
    const { catalogue, plot, state } = this;
    const column = catalogue.columns.get(state.colour);
    const values = catalogue.values.get(state.colour);
    plot.colour(colouring(column, values, catalogue.map));
    showLegend(catalogue, this.filters, state.colour);
  }

  #filtered() {
    const { catalogue, filters } = this;
    this.plot.show(filters.shown);
    updateCategories(filters);
    updateFilters(catalogue, filters);
    this.panel.update();
    this.#count();
  }

  #count() {
    const { map, n } = this.catalogue;
    const { total } = this.filters;
    byId("count").textContent = total === n ? counted(n, map.rows) : `${count(total)} of ${counted(n, map.rows)}`;
  }

  #texts() {
    const { map } = this.catalogue;
    const { state } = this;
    document.title = `${map.title}: map`;
    if (map.rows === "objects") byId("search").placeholder = "Object id";
    byId("title").textContent = map.title;
    this.#count();
    byId("plot").setAttribute("aria-label", `Map of ${counted(map.n, map.rows)}`);
    const options = (values) => values.map(([value, words]) => element("option", { value }, words));
    fill(byId("projection"), ...options(map.projections.map((name) => [name, PROJECTIONS[name] ?? name])));
    fill(byId("colour"), ...options(map.columns.map((column) => [column.name, column.title])));
    byId("projection").value = state.projection;
    byId("colour").value = state.colour ?? "";
    byId("projection-note").textContent = map.projection_notes?.[state.projection] ?? "";
    showFilters(this.catalogue, this.filters, (name) => this.catalogue.column(name));
    this.selection.set([]);
    fillHelp(byId("help-dialog"));
    const notes = (map.notes ?? []).map((note) => element("li", {}, note));
    fillDialog(byId("about-dialog"), "about-title", "About this map",
      element("p", {}, `${counted(map.n, map.rows)} of ${map.title}. Points that are near have similar vectors.`),
      notes.length ? fill(element("ul"), ...notes) : null,
      map.model ? element("p", { class: "muted" }, "Model: ", element("span", { class: "mono" }, map.model)) : null);
  }

  #theme() {
    const apply = () => {
      this.plot.background = getComputedStyle(document.body).getPropertyValue("--map").trim();
      if (this.catalogue.values.has(this.state.colour)) this.#colour();
    };
    apply();
    darkness.addEventListener("change", apply);
  }

  #listen() {
    const { plot, filters, marks, selection } = this;
    const click = (id, action) => byId(id).addEventListener("click", action);
    byId("projection").addEventListener("change", (event) => this.project(event.target.value));
    byId("colour").addEventListener("change", (event) => this.colour(event.target.value));
    filters.listeners.add(() => this.#filtered());
    click("show-all", () => filters.clear());
    click("lasso", () => this.setLasso(!this.lassoing));
    click("reset", () => plot.reset());
    click("zoom-in", () => plot.zoom(1.5));
    click("zoom-out", () => plot.zoom(1 / 1.5));
    click("help", () => byId("help-dialog").showModal());
    click("about", () => byId("about-dialog").showModal());
    click("sheet", () => {
      const open = document.body.classList.toggle("with-controls");
      byId("sheet").setAttribute("aria-expanded", String(open));
    });
    listen(plot, {
      lassoing: () => this.lassoing,
      draw: (path) => marks.set({ path }),
      click: (row) => row >= 0 && this.pin(row),
      hover: (row, event) => {
        if (row !== marks.hovered) marks.set({ hovered: row });
        plot.canvas.classList.toggle("on-point", row >= 0);
        this.hover.show(row, event);
      },
      lassoed: (path, add) => {
        const rows = rowsInside(plot, path);
        selection.set(add ? [...selection.rows, ...rows] : rows);
        this.setLasso(false);
        announce(`${counted(selection.rows.length, this.catalogue.map.rows)} selected`);
      },
    });
    listenToKeys(plot, {
      lasso: () => this.setLasso(!this.lassoing),
      step: (by) => this.step(by),
      clear: () => selection.set([]),
      help: () => byId("help-dialog").showModal(),
      escape: () => (this.lassoing ? this.setLasso(false) : this.state.row !== null && this.pin(null)),
    });
    window.addEventListener("hashchange", () => this.#restore());
  }

  /** Shows what the address says, after Back, Forward or a change by hand. */
  async #restore() {
    const address = readAddress();
    const { projection, colour, row } = this.#addressed(address);
    await this.project(projection);
    if (colour) await this.colour(colour);
    if (row !== this.state.row) this.pin(row, row !== null, false);
    await this.#identify(address.id);
  }

  /** The state of an address; what is not in this map is as at first. */
  #addressed({ projection, colour, row }) {
    const { map, columns, n } = this.catalogue;
    const number = row !== null && /^\d+$/.test(row) ? Number(row) : n;
    return {
      projection: map.projections.includes(projection) ? projection : map.projections[0],
      colour: columns.has(colour) ? colour : (map.columns[0]?.name ?? null),
      row: number < n ? number : null,
    };
  }

  async #identify(id) {
    if (!id) return;
    byId("search").value = id;
    await this.search.submit();
  }

  #address(step) {
    const { projection, colour, row } = this.state;
    writeAddress({ projection, colour, row }, step);
  }

  async #tried(promise, what) {
    try {
      return await promise;
    } catch {
      say(`${what} could not be read.`, 6000);
      return null;
    }
  }
}

const PROJECTIONS = { umap: "UMAP", pca: "PCA", tsne: "t-SNE" };

/** Shows a sentence over the map. */
function say(text, ms = 0) {
  byId("message").textContent = text;
  byId("message").hidden = false;
  byId("loading").hidden = true;
  if (ms) setTimeout(() => (byId("message").hidden = true), ms);
}

async function main() {
  if (!document.createElement("canvas").getContext("webgl2")) {
    say("This browser has no WebGL 2, which the map needs. Another browser, or hardware acceleration in its settings, may have it.");
    return null;
  }
  let explorer;
  try {
    explorer = new Explorer(await Catalogue.open());
    await explorer.start();
  } catch (error) {
    say(`The map cannot be shown: ${error.message}.`);
    return null;
  }
  explorer.finish().catch((error) => say(`A part of the map is missing: ${error.message}.`, 8000));
  return explorer;
}

const started = main();
/** For tests. */
window.ztfrepMap = {
  ready: started.then(() => undefined),
};
started.then((explorer) => {
  if (!explorer) return;
  const { plot, selection } = explorer;
  Object.assign(window.ztfrepMap, {
    screenPosition: (row) => {
      const { left, top } = plot.canvas.getBoundingClientRect();
      const [x, y] = plot.screen(row);
      return [left + x, top + y];
    },
    select: (rows) => selection.set(rows),
    selection: () => [...selection.rows],
    pinned: () => explorer.state.row,
    pin: (row) => explorer.pin(row, true),
    visibleRows: () => explorer.visibleRows(),
    pointSize: () => plot.size,
  });
});
