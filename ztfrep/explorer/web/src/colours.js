// Colours of points: a code for every row and a colour for every code.
import { interpolateRgb, piecewise, quantize } from "d3-interpolate";
import { NONE } from "./catalogue.js";

/** Steps of the scale of a number. */
const STEPS = 64;

/** Whether the page is dark. */
export const darkness = window.matchMedia("(prefers-color-scheme: dark)");

/**
 * The code of every row and the colours of the codes; the last colour is that of rows without a value.
 * @param {any} column
 * @param {Uint8Array|Float32Array|Float64Array} values
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
  const scale = quantize(piecewise(interpolateRgb, numbers), STEPS);
  return { codes, colours: [...scale, unlabelled] };
}
