// The page of `ztfrep explore`: opens the map, or says why it cannot.
import { Catalogue } from "./catalogue.js";
import { Explorer } from "./explorer.js";
import { say } from "./message.js";

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
  const { plot, selection, filters, pin } = explorer;
  Object.assign(window.ztfrepMap, {
    screenPosition: (row) => {
      const { left, top } = plot.canvas.getBoundingClientRect();
      const [x, y] = plot.screen(row);
      return [left + x, top + y];
    },
    select: (rows) => selection.set(rows),
    selection: () => [...selection.rows],
    pinned: () => pin.row,
    pin: (row) => pin.set(row, true),
    visibleRows: () => filters.rows(),
    pointSize: () => plot.size,
  });
});
