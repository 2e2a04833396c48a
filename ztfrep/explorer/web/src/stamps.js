// Stamps of a row: parts of one image, drawn pixel by pixel.
import { Cache } from "./cache.js";
import { element } from "./dom.js";

/** Pixels of the central part. */
export const CENTRE = 33;

/** @type {Cache} images by number */
const images = new Cache(48);

function image(k) {
  return images.get(k, () => {
    return new Promise((resolve, reject) => {
      const made = new Image();
      made.onload = () => resolve(made);
      made.onerror = () => reject(new Error(`stamps/${k}.png could not be read`));
      made.src = `stamps/${k}.png`;
    });
  });
}

/**
 * The stamps of a row side by side. They are drawn when their image is there.
 * @param {any} map the value of data/map.js
 * @param {number} row
 * @param {{whole?: boolean, labels?: boolean}} options the whole stamps rather than their centre
 * @returns {HTMLElement}
 */
export function stamps(map, row, { whole = false, labels = true } = {}) {
  const { rows, size, channels } = map.stamps;
  const side = whole ? size : Math.min(CENTRE, size);
  const canvases = channels.map((channel) =>
    element("canvas", {
      class: "stamp",
      width: side,
      height: side,
      role: "img",
      "aria-label": `${channel} stamp`,
      "data-row": row,
      "data-channel": channel,
    }),
  );
  const figures = canvases.map((canvas, k) =>
    element("figure", {}, canvas, labels && element("figcaption", {}, channels[k])),
  );
  const node = element("div", { class: "stamps" }, ...figures);
  const number = Math.floor(row / rows);
  const top = (row - number * rows) * size;
  const margin = (size - side) >> 1;
  image(number).then(
    (loaded) => {
      canvases.forEach((canvas, k) => {
        const left = k * size + margin;
        const context = canvas.getContext("2d");
        context.drawImage(loaded, left, top + margin, side, side, 0, 0, side, side);
        canvas.dataset.drawn = "";
      });
    },
    () => node.replaceChildren(element("p", { class: "muted" }, "no stamps for this row")),
  );
  return node;
}
