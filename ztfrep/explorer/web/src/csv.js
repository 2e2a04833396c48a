// Rows as CSV.
import { csvFormatRows } from "d3-dsv";
import { shortest } from "./numbers.js";

/**
 * A text that no spreadsheet takes for a formula: they run what begins with one of = + - @. An
 * apostrophe before it prevents that.
 * @param {string|null} text
 */
const guarded = (text) => (/^[=+\-@\t\r]/.test(text ?? "") ? `'${text}` : text);

/**
 * The rows of a catalogue as CSV: row, ids and all columns. Candids are text: they have more digits
 * than a number of JavaScript.
 * @param {import("./catalogue.js").Catalogue} catalogue whose ids and columns were read
 * @param {number[]} rows
 */
export function csv(catalogue, rows) {
  const columns = [...catalogue.columns.values()].filter(({ name }) => catalogue.values.has(name));
  const ids = Object.entries(catalogue.ids).filter(([, values]) => values);
  const head = ["row", ...ids.map(([name]) => name), ...columns.map(({ name }) => guarded(name))];
  const lines = rows.map((row) => [
    row,
    ...ids.map(([, values]) => guarded(values[row])),
    ...columns.map(({ name, type }) => {
      const value = catalogue.value(name, row);
      return typeof value === "number" ? shortest(value, type) : guarded(value);
    }),
  ]);
  return `${csvFormatRows([head, ...lines])}\n`;
}

/** Lets the browser save a text as a file. */
export function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** A name of a file for rows of a catalogue. */
export function fileName(title, what) {
  const stem = title.replace(/\.[a-z]+$/i, "").replace(/[^\w.-]+/g, "_") || "map";
  return `${stem}-${what}.csv`;
}
