// The search for an object id or a candid.
import { byId, element, fill } from "./dom.js";
import { count } from "./numbers.js";

/** As many suggestions are shown. */
const SUGGESTIONS = 8;

/** What is found lies below the sentence: it goes after some milliseconds. */
const HINT = 3000;

export class Search {
  /**
   * @param {import("./catalogue.js").Catalogue} catalogue
   * @param {(row: number) => void} go
   */
  constructor(catalogue, go) {
    this.catalogue = catalogue;
    this.go = go;
    this.box = byId("search");
    this.list = byId("suggestions");
    this.active = -1;
    /** @type {{text: string, row: number, rows: number}[]} */
    this.found = [];
    this.last = { text: "", at: -1 };
    this.box.addEventListener("input", () => this.#suggest());
    this.box.addEventListener("focus", () => this.catalogue.readIds().catch(() => {}));
    this.box.addEventListener("blur", () => setTimeout(() => this.#close(), 150));
    this.box.addEventListener("keydown", (event) => this.#key(event));
    byId("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  /** The rows of an object id or a candid, in any case of letters. @returns {Promise<number[]>} */
  async rows(text) {
    const { object_id: objects, candid: candids } = await this.catalogue.readIds();
    const wanted = text.trim().toLowerCase();
    const rows = [];
    for (let i = 0; i < objects.length; i++) {
      if (objects[i]?.toLowerCase() === wanted || candids?.[i] === wanted) rows.push(i);
    }
    return rows;
  }

  /** Goes to what is in the box; to the next alert of the object when asked again. */
  async submit() {
    const text = (this.active >= 0 ? this.found[this.active].text : this.box.value).trim();
    if (!text) return;
    let rows;
    try {
      rows = await this.rows(text);
    } catch {
      this.#say("The ids of this map could not be read.");
      return;
    }
    this.box.value = text;
    this.#close();
    if (rows.length === 0) {
      this.#say(`${text} is not in this map.`);
      return;
    }
    const at = this.last.text === text ? (this.last.at + 1) % rows.length : 0;
    this.last = { text, at };
    const next = `${text}: alert ${at + 1} of ${rows.length}; Enter shows the next.`;
    this.#say(rows.length > 1 ? next : "", HINT);
    this.go(rows[at]);
  }

  async #suggest() {
    const typed = this.box.value.trim().toLowerCase();
    this.active = -1;
    this.#say("");
    if (typed.length < 2) return this.#close();
    let ids;
    try {
      ids = await this.catalogue.readIds();
    } catch {
      return;
    }
    if (typed !== this.box.value.trim().toLowerCase()) return;
    /** @type {Map<string, {text: string, row: number, rows: number}>} */
    const found = new Map();
    for (const list of [ids.object_id, ids.candid ?? []]) {
      for (let i = 0; i < list.length; i++) {
        const text = list[i];
        if (!text || !text.toLowerCase().startsWith(typed)) continue;
        const known = found.get(text);
        if (known) known.rows++;
        else if (found.size < SUGGESTIONS) found.set(text, { text, row: i, rows: 1 });
      }
    }
    this.found = [...found.values()];
    this.#draw();
  }

  #draw() {
    const options = this.found.map(({ text, rows }, k) => {
      const option = element(
        "li",
        { id: `suggestion-${k}`, role: "option", "aria-selected": String(k === this.active) },
        text,
        rows > 1 && element("span", { class: "muted" }, ` ${count(rows)} alerts`),
      );
      option.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        this.active = k;
        this.submit();
      });
      return option;
    });
    fill(this.list, ...options);
    this.list.hidden = options.length === 0;
    this.box.setAttribute("aria-expanded", String(options.length > 0));
    if (this.active >= 0) this.box.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.found = [];
    this.active = -1;
    this.#draw();
  }

  #key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.found.length) {
      event.preventDefault();
      const places = this.found.length + 1;
      this.active = ((this.active + 1 + step + places) % places) - 1;
      this.#draw();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (this.found.length) this.#close();
      else this.box.blur();
    }
  }

  /** Shows a sentence below the box, for `ms` milliseconds or until the next. */
  #say(text, ms = 0) {
    const node = byId("search-status");
    node.textContent = text;
    node.hidden = !text;
    clearTimeout(this.hiding);
    if (ms) this.hiding = setTimeout(() => (node.hidden = true), ms);
  }
}
