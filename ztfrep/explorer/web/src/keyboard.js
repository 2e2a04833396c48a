// Keys of the page.
import { byId, element, fill } from "./dom.js";

/** How far an arrow key moves the map, in pixels, and a plus or minus zooms it. */
const STEP = 60;
const ZOOM = 1.35;

const KEYS = [
  ["Arrow keys", "move the map"],
  ["+ −", "zoom in and out"],
  ["0", "show the whole map"],
  ["/", "search for an object id or candid"],
  ["L", "draw a lasso; Shift and drag does it at once, with Ctrl it adds to the selection"],
  ["N P", "go to the next or previous nearest of the pinned row"],
  ["C", "clear the selection"],
  ["Escape", "leave the lasso, or close the panel"],
  ["?", "show these keys"],
];

/**
 * @param {import("./view.js").View} view
 * @param {Record<string, (event: KeyboardEvent) => void>} actions by name
 */
export function listenToKeys(view, actions) {
  const keys = {
    ArrowLeft: () => view.pan(STEP, 0),
    ArrowRight: () => view.pan(-STEP, 0),
    ArrowUp: () => view.pan(0, STEP),
    ArrowDown: () => view.pan(0, -STEP),
    "+": () => view.zoom(ZOOM),
    "=": () => view.zoom(ZOOM),
    "-": () => view.zoom(1 / ZOOM),
    0: () => view.reset(),
    "/": () => byId("search").focus(),
    l: actions.lasso,
    n: () => actions.step(1),
    p: () => actions.step(-1),
    c: actions.clear,
    Escape: actions.escape,
    "?": actions.help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input, select, textarea");
    if (typing && event.key !== "Escape") return;
    const arrow = event.key.startsWith("Arrow");
    // Elsewhere the arrows scroll.
    if (arrow && ![document.body, view.canvas].includes(document.activeElement)) return;
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
}

/** Fills the dialog of the keys. */
export function fillHelp(dialog) {
  const rows = KEYS.map(([key, words]) =>
    element("tr", {}, element("th", { scope: "row" }, ...key.split(" ").flatMap((each) => (key === "Arrow keys" ? [] : [element("kbd", {}, each), " "])), key === "Arrow keys" && element("kbd", {}, "Arrow keys")), element("td", {}, words)),
  );
  fillDialog(dialog, "help-title", "Keys", element("table", {}, fill(element("tbody"), ...rows)),
    element("p", { class: "muted" }, "Drag moves the map; the wheel, two fingers or a double click zoom it. A click pins a point."));
}

/** Fills a dialog: a title, a button to close it and what it says. */
export function fillDialog(dialog, id, words, ...children) {
  const close = element("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => dialog.close() }, "×");
  fill(dialog, element("div", { class: "row" }, element("h2", { id }, words), close), ...children);
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}
