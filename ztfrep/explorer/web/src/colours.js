// Colours of points: a code for every row and a colour for every code.
import { NONE } from "./catalogue.js";

// Ten of the colours of viridis (Smith and van der Walt, 2015), dark to bright.
const VIRIDIS = [
  "#440154", "#482878", "#3e4989", "#31688e", "#26828e",
  "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
];
/** Steps of the scale of a number. */
const STEPS = 64;

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/**
 * The colour of a place in [0, 1] on the scale. Its dark end is left out on a dark page, its bright
 * end on a bright one: points there could not be seen.
 */
export function viridis(place, dark) {
  const at = (dark ? 0.14 + 0.86 * place : 0.94 * place) * (VIRIDIS.length - 1);
  const k = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const [from, to] = [channels(VIRIDIS[k]), channels(VIRIDIS[k + 1])];
  const mixed = from.map((value, i) => Math.round(value + (at - k) * (to[i] - value)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** All steps of the scale, low to high. */
export const scale = (dark) =>
  Array.from({ length: STEPS }, (_, k) => viridis(k / (STEPS - 1), dark));

/** Whether the page is dark. */
export const darkness = window.matchMedia("(prefers-color-scheme: dark)");

/**
 * The code of every row and the colours of the codes; the last colour is that of rows without a value.
 * @param {any} column
 * @param {Uint8Array|Float32Array} values
 * @param {string} unlabelled
 * @returns {{codes: Uint8Array, colours: string[]}}
 */
export function colouring(column, values, unlabelled) {
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
  return { codes, colours: [...scale(darkness.matches), unlabelled] };
}
