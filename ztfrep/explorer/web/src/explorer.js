// The map of a catalogue and what is around it: joins the parts of the page and keeps its state.
import { readAddress, writeAddress } from "./address.js";
import { colouring, darkness } from "./colours.js";
import { showFilters, updateFilters } from "./controls.js";
import { announce, byId } from "./dom.js";
import { Filters } from "./filters.js";
import { listen } from "./gestures.js";
import { showCount, showProjection, showTexts } from "./header.js";
import { Hover } from "./hover.js";
import { listenToKeys } from "./keyboard.js";
import { showLegend, updateCategories } from "./legend.js";
import { Marks } from "./marks.js";
import { say } from "./message.js";
import { counted } from "./numbers.js";
import { Pin } from "./pin.js";
import { Plot } from "./plot.js";
import { Search } from "./search.js";
import { Selection } from "./selection.js";

export class Explorer {
  /** @param {import("./catalogue.js").Catalogue} catalogue whose map was read */
  constructor(catalogue) {
    this.catalogue = catalogue;
    const { map, n } = catalogue;
    this.plot = new Plot(byId("plot"), n);
    this.filters = new Filters(catalogue);
    this.marks = new Marks(this.plot);
    this.hover = new Hover(catalogue);
    this.selection = new Selection(catalogue, this.plot, this.filters);
    this.pin = new Pin(catalogue, this.plot, this.filters, this.marks, (row, step) => {
      this.hover.show(-1);
      this.#address({ row }, step);
    });
    this.search = new Search(catalogue, (row) => this.pin.set(row, true));
    /** @type {{projection: string, colour: string|null, row: number|null}} */
    this.state = { projection: map.projections[0], colour: map.columns[0]?.name ?? null, row: null };
    this.wanted = { projection: null, colour: null };
    this.lassoing = false;
  }

  /** Reads what the first picture needs and draws it. */
  async start() {
    const { catalogue, state, plot } = this;
    const { map } = catalogue;
    Object.assign(state, this.#addressed(readAddress()));
    showTexts(map, state);
    showFilters(catalogue, this.filters, (name) => catalogue.column(name));
    this.selection.set([]);
    this.#theme();
    const [positions] = await Promise.all([
      catalogue.projection(state.projection),
      state.colour && catalogue.column(state.colour),
    ]);
    plot.place(positions);
    if (state.colour) this.#colour();
    else plot.colour({ codes: new Uint8Array(catalogue.n), colours: [map.unlabelled] });
    showCount(map, this.filters.total);
    plot.draw();
    performance.mark("first-paint-of-points");
    byId("loading").hidden = true;
    this.#listen();
    if (state.row !== null) this.pin.set(state.row, true, false);
    this.#identify(readAddress().id);
  }

  /** Reads the rest while the reader looks. */
  async finish() {
    const { catalogue } = this;
    for (const name of catalogue.columns.keys()) await catalogue.column(name);
    await catalogue.readIds();
    this.pin.panel.refresh();
  }

  /** Shows another projection. */
  async project(name) {
    const { catalogue } = this;
    const positions = await this.#change("projection", name, () => catalogue.projection(name));
    if (!positions) return;
    showProjection(catalogue.map, name);
    this.hover.show(-1);
    this.marks.set({ hovered: -1 });
    this.plot.place(positions, true);
  }

  /** Shows the values of another column. */
  async colour(name) {
    const { catalogue } = this;
    if (await this.#change("colour", name, () => catalogue.column(name))) this.#colour();
  }

  setLasso(on) {
    this.lassoing = on;
    byId("lasso").setAttribute("aria-pressed", String(on));
    document.body.classList.toggle("lassoing", on);
  }

  /** Sets the projection or the colour; returns what it needs, or null where nothing changes. */
  async #change(what, name, read) {
    this.wanted[what] = name;
    if (name === this.state[what]) return null;
    const value = await read().catch(() => null);
    // Another one was asked for while this one was read.
    if (this.wanted[what] !== name) return null;
    if (value) this.#address({ [what]: name }, false);
    else say(`The ${what} ${name} could not be read.`, 6000);
    byId(what).value = this.state[what];
    return value;
  }

  #colour() {
    const { catalogue, plot, state } = this;
    const column = catalogue.columns.get(state.colour);
    plot.colour(colouring(column, catalogue.values.get(state.colour), catalogue.map));
    showLegend(catalogue, this.filters, state.colour);
  }

  #filtered() {
    const { catalogue, filters } = this;
    this.plot.show(filters.shown);
    updateCategories(filters);
    updateFilters(catalogue, filters);
    showCount(catalogue.map, filters.total);
  }

  #theme() {
    const apply = () => {
      this.plot.background = getComputedStyle(document.body).getPropertyValue("--map").trim();
      this.plot.request();
    };
    apply();
    darkness.addEventListener("change", apply);
  }

  #listen() {
    const { filters, selection, pin } = this;
    const { view } = this.plot;
    const click = (id, action) => byId(id).addEventListener("click", action);
    byId("projection").addEventListener("change", (event) => this.project(event.target.value));
    byId("colour").addEventListener("change", (event) => this.colour(event.target.value));
    filters.listeners.add(() => this.#filtered());
    click("show-all", () => filters.clear());
    click("lasso", () => this.setLasso(!this.lassoing));
    click("reset", () => view.reset());
    click("zoom-in", () => view.zoom(1.5));
    click("zoom-out", () => view.zoom(1 / 1.5));
    click("help", () => byId("help-dialog").showModal());
    click("about", () => byId("about-dialog").showModal());
    click("sheet", () => {
      const open = document.body.classList.toggle("with-controls");
      byId("sheet").setAttribute("aria-expanded", String(open));
    });
    this.#listenToMap();
    listenToKeys(view, {
      lasso: () => this.setLasso(!this.lassoing),
      step: (by) => pin.step(by),
      clear: () => selection.set([]),
      help: () => byId("help-dialog").showModal(),
      escape: () => (this.lassoing ? this.setLasso(false) : pin.row !== null && pin.set(null)),
    });
    window.addEventListener("hashchange", () => this.#restore());
  }

  #listenToMap() {
    const { plot, marks, selection } = this;
    listen(plot, {
      lassoing: () => this.lassoing,
      draw: (path) => marks.set({ path }),
      click: (row) => row >= 0 && this.pin.set(row),
      hover: (row, event) => {
        if (row !== marks.hovered) marks.set({ hovered: row });
        plot.canvas.classList.toggle("on-point", row >= 0);
        this.hover.show(row, event);
      },
      lassoed: (path, add) => {
        const rows = plot.inside(path);
        selection.set(add ? [...selection.rows, ...rows] : rows);
        this.setLasso(false);
        announce(`${counted(selection.rows.length, this.catalogue.map.rows)} selected`);
      },
    });
  }

  /** Shows what the address says, after Back, Forward or a change by hand. */
  async #restore() {
    const address = readAddress();
    const { projection, colour, row } = this.#addressed(address);
    await this.project(projection);
    if (colour) await this.colour(colour);
    if (row !== this.state.row) this.pin.set(row, row !== null, false);
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

  #address(change, step) {
    Object.assign(this.state, change);
    writeAddress(this.state, step);
  }
}
