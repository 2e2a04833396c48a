// Rows as CSV (RFC 4180).
import { float32Text } from "./numbers.js";

/**
 * A text as a field. Spreadsheets run a text that begins with one of = + - @ as a formula: an
 * apostrophe before it prevents that.
 * @param {string|null} text
 */
export function field(text) {
  if (text === null || text === undefined) return "";
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * The rows of a catalogue as CSV: row, ids and all columns. Candids are text: they have more digits
 * than a number of JavaScript.
 * @param {import("./catalogue.js").Catalogue} catalogue whose ids and columns were read
 * @param {ArrayLike<number>} rows
 */
export function csv(catalogue, rows) {
  const names = [...catalogue.columns.keys()].filter((name) => catalogue.values.has(name));
  const { object_id: objects, candid: candids } = catalogue.ids;
  const lines = [["row", "object_id", ...(candids ? ["candid"] : []), ...names.map(field)]];
  for (const row of Array.from(rows)) {
    const values = names.map((name) => {
      const value = catalogue.value(name, row);
      return typeof value === "number" ? float32Text(value) : field(value);
    });
    lines.push([row, field(objects[row]), ...(candids ? [field(candids[row])] : []), ...values]);
  }
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
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
