// Colours of points: a code for every row and a colour for every code.
import { NONE } from "./catalogue.js";

/** Steps of the scale of a number. */
const STEPS = 64;

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Steps between the colours of a scale, which are at equal distances, low to high. @param {string[]} stops */
function steps(stops) {
  return Array.from({ length: STEPS }, (_, step) => {
    const at = (step / (STEPS - 1)) * (stops.length - 1);
    const k = Math.min(Math.floor(at), stops.length - 2);
    const [from, to] = [channels(stops[k]), channels(stops[k + 1])];
    const mixed = from.map((value, i) => Math.round(value + (at - k) * (to[i] - value)));
    return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
  });
}

/** Whether the page is dark. */
export const darkness = window.matchMedia("(prefers-color-scheme: dark)");

/**
 * The code of every row and the colours of the codes; the last colour is that of rows without a value.
 * @param {any} column
 * @param {Uint8Array|Float32Array} values
 * @param {{numbers: string[], unlabelled: string}} map the value of data/map.js
 * @returns {{codes: Uint8Array, colours: string[]}}
 */
export function colouring(column, values, { numbers, unlabelled }) {
  const codes = new Uint8Array(values.length);
  if (column.kind === "category") {
    const none = column.values.length;
    for (let i = 0; i < codes.length; i++) codes[i] = values[i] === NONE ? none : values[i];
    return { codes, colours: [...column.colours.slice(0, none), unlabelled] };
  }
  const { low, high } = column;
  const factor = (STEPS - 1) / (high - low || 1);
  for (let i = 0; i < codes.length; i++) {
    const step = Math.round((values[i] - low) * factor);
    const code = Math.max(0, Math.min(STEPS - 1, column.reversed ? STEPS - 1 - step : step));
    codes[i] = Number.isNaN(values[i]) ? STEPS : code;
  }
  return { codes, colours: [...steps(numbers), unlabelled] };
}
