// Numbers as text.

/** A number with a fixed number of decimals and a true minus sign; an en dash where there is none. */
export function fixed(value, digits) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return value.toFixed(digits).replace("-", "−");
}

/** A number with about three significant digits, for scales of any size. */
export function short(value, span = Math.abs(value)) {
  const digits = span > 0 ? Math.max(0, 2 - Math.floor(Math.log10(span))) : 0;
  return digits > 6 ? value.toExponential(1) : fixed(value, digits);
}

/** A count with separators of thousands. */
export const count = (value) => value.toLocaleString("en-GB");

/** "1 alert" or "12 alerts". */
export const counted = (value, noun) => `${count(value)} ${value === 1 ? noun.replace(/s$/, "") : noun}`;

/** The date and time of a Modified Julian Date, in UTC to the minute. */
export function dateOf(mjd) {
  return new Date((mjd - 40587) * 86400000).toISOString().slice(0, 16).replace("T", " ");
}

/** Right ascension or declination in degrees as sexagesimal text. */
export function sexagesimal(degrees, hours) {
  const total = Math.round(Math.abs(hours ? degrees / 15 : degrees) * 3600 * (hours ? 100 : 10));
  const unit = hours ? 100 : 10;
  const parts = [Math.floor(total / 3600 / unit), Math.floor(total / 60 / unit) % 60];
  const seconds = ((total / unit) % 60).toFixed(hours ? 2 : 1).padStart(hours ? 5 : 4, "0");
  const text = `${parts.map((part) => String(part).padStart(2, "0")).join(":")}:${seconds}`;
  return hours ? text : `${degrees < 0 ? "−" : "+"}${text}`;
}

/** The shortest text that gives the same number again. @param {"float32"|"float64"} type */
export function shortest(value, type) {
  if (type === "float64") return String(value);
  for (let digits = 6; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}
