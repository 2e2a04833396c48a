// Mouse, pen and fingers on the map: drag pans, wheel and two fingers zoom, a lasso selects.

/** A press that moves less is a click, in pixels. */
const SLACK = 5;
const FINGER = 20;

/**
 * @param {import("./plot.js").Plot} plot
 * @param {{hover: (row: number, event?: PointerEvent) => void, click: (row: number) => void,
 *   lassoing: () => boolean, draw: (path: number[]) => void,
 *   lassoed: (path: number[], add: boolean) => void}} on
 */
export function listen(plot, on) {
  const { canvas } = plot;
  /** @type {Map<number, [number, number]>} */
  const pressed = new Map();
  let path = null;
  let moved = 0;

  const at = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pressed.set(event.pointerId, at(event));
    moved = pressed.size > 1 ? SLACK : 0;
    path = pressed.size === 1 && (event.shiftKey || on.lassoing()) ? at(event) : null;
    if (path === null) on.draw([]);
    on.hover(-1);
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    const before = pressed.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") on.hover(plot.nearest(x, y), event);
      return;
    }
    const [dx, dy] = [x - before[0], y - before[1]];
    moved += Math.hypot(dx, dy);
    if (path) {
      path.push(x, y);
      on.draw(path);
      pressed.set(event.pointerId, [x, y]);
    } else if (pressed.size === 1) {
      if (moved < SLACK) return;
      plot.pan(dx, dy);
      pressed.set(event.pointerId, [x, y]);
    } else if (pressed.size === 2) {
      const other = [...pressed.entries()].find(([id]) => id !== event.pointerId)[1];
      const [was, is] = [distance(before, other), distance([x, y], other)];
      plot.pan(dx / 2, dy / 2);
      if (was > 0) plot.zoom(is / was, (x + other[0]) / 2, (y + other[1]) / 2);
      pressed.set(event.pointerId, [x, y]);
    }
  });

  const release = (event) => {
    if (!pressed.delete(event.pointerId)) return;
    if (event.type === "pointercancel") {
      path = null;
      on.draw([]);
    } else if (path && moved >= SLACK) {
      on.lassoed(path, event.ctrlKey || event.metaKey);
    } else if (moved < SLACK && pressed.size === 0) {
      on.click(plot.nearest(...at(event), event.pointerType === "touch" ? FINGER : undefined));
    }
    path = null;
    on.draw([]);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => on.hover(-1));
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      // A pinch on a touchpad is a wheel with the control key, in small steps.
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      on.hover(-1);
      plot.zoom(Math.exp(-event.deltaY * lines * speed), ...at(event));
    },
    { passive: false },
  );
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

/**
 * The rows in a polygon of pixels, of those that are shown.
 * @param {import("./plot.js").Plot} plot
 * @param {number[]} path x0 y0 x1 y1 ...
 * @returns {number[]}
 */
export function rowsInside(plot, path) {
  const polygon = [];
  for (let k = 0; k < path.length; k += 2) polygon.push(...plot.camera.toPlane(path[k], path[k + 1]));
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let k = 0; k < polygon.length; k += 2) {
    left = Math.min(left, polygon[k]);
    right = Math.max(right, polygon[k]);
    low = Math.min(low, polygon[k + 1]);
    high = Math.max(high, polygon[k + 1]);
  }
  const rows = [];
  for (let i = 0; i < plot.n; i++) {
    const [x, y] = [plot.positions[2 * i], plot.positions[2 * i + 1]];
    if (!plot.shown[i] || x < left || x > right || y < low || y > high) continue;
    if (inside(polygon, x, y)) rows.push(i);
  }
  return rows;
}

/** Whether a line from a place to the right crosses the polygon an odd number of times. */
function inside(polygon, x, y) {
  let odd = false;
  for (let k = 0, j = polygon.length - 2; k < polygon.length; j = k, k += 2) {
    const [x1, y1, x2, y2] = [polygon[k], polygon[k + 1], polygon[j], polygon[j + 1]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) odd = !odd;
  }
  return odd;
}
