// Mouse, pen and fingers on the map: what d3-zoom leaves, a lasso, clicks and the row under the pointer.
import { drag } from "d3-drag";
import { SLACK } from "./view.js";

/** A finger hits what is so near, in pixels. */
const FINGER = 20;

/**
 * @param {import("./plot.js").Plot} plot
 * @param {{hover: (row: number, event?: PointerEvent) => void, click: (row: number) => void,
 *   lassoing: () => boolean, draw: (path: [number, number][]) => void,
 *   lassoed: (path: [number, number][], add: boolean) => void}} on
 */
export function listen(plot, on) {
  const { canvas, view } = plot;
  /** @type {[number, number][]|null} */
  let path = null;
  let touched = false;

  const draws = (event) => event.type !== "wheel" && (event.shiftKey || on.lassoing());
  const zooms = (event) => event.type === "wheel" || (!event.button && !event.ctrlKey && !draws(event));
  view.behaviour.filter(zooms).on("start", (event) => event.sourceEvent && on.hover(-1));

  const lasso = drag()
    .container(canvas)
    .clickDistance(SLACK)
    // One finger draws.
    .filter((event) => !event.button && !path && draws(event))
    .on("start", ({ x, y }) => {
      path = [[x, y]];
      on.hover(-1);
    })
    .on("drag", ({ x, y }) => {
      path.push([x, y]);
      on.draw(path);
    })
    .on("end", ({ sourceEvent }) => {
      const drawn = path;
      path = null;
      on.draw([]);
      if (sourceEvent.type === "touchcancel" || drawn.length < 3) return;
      on.lassoed(drawn, sourceEvent.ctrlKey || sourceEvent.metaKey);
    });
  view.selection.call(lasso);

  canvas.addEventListener("pointerdown", (event) => (touched = event.pointerType === "touch"));
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch" || event.buttons) return;
    on.hover(plot.nearest(event.offsetX, event.offsetY), event);
  });
  canvas.addEventListener("pointerleave", () => on.hover(-1));
  canvas.addEventListener("click", (event) => {
    // The second of two clicks zooms.
    if (event.detail > 1) return;
    on.click(plot.nearest(event.offsetX, event.offsetY, touched ? FINGER : undefined));
  });
}
