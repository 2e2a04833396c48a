// The light curve of an object as SVG.
import { extent, tickStep, ticks } from "d3-array";
import { element, svg } from "./dom.js";
import { counted, fixed } from "./numbers.js";

const MARGIN = { right: 8, top: 8, bottom: 30 };

/**
 * Magnitudes over days from the alert: filled circles with error bars, open triangles for upper
 * limits, a ring around the alert's own point. Bright is up.
 * @param {any} map the value of data/map.js
 * @param {any} detail of a row, with a light curve
 * @param {{width: number, height: number}} size
 * @returns {HTMLElement}
 */
export function lightCurve(map, detail, { width, height }) {
  const curve = detail.light_curve;
  const zero = detail.mjd ?? curve.mjd[curve.mjd.length - 1];
  const points = curve.mjd
    .map((mjd, i) => {
      const limit = curve.magpsf[i] === null;
      const magnitude = limit ? curve.diffmaglim?.[i] : curve.magpsf[i];
      const error = limit ? 0 : (curve.sigmapsf?.[i] ?? 0);
      return { day: mjd - zero, magnitude, error, limit, fid: curve.fid[i] };
    })
    .filter((point) => Number.isFinite(point.magnitude) && Number.isFinite(point.day));
  const detections = points.filter((point) => !point.limit);
  const limits = points.length - detections.length;
  if (points.length === 0) return element("p", { class: "muted" }, "no light curve for this row");

  const [x, days] = axis(points.map((point) => point.day), 0.04, 6, 1);
  const faintest = points.map((point) => point.magnitude + Math.min(point.error, 1));
  const brightest = points.map((point) => point.magnitude - Math.min(point.error, 1));
  const [y, magnitudes] = axis([...faintest, ...brightest], 0.08, 5, 0.4);
  // Beside the name of the axis, 21.5 needs more room than 21.
  const left = magnitudes.digits > 0 ? 44 : 34;
  const across = (day) => left + x(day) * (width - left - MARGIN.right);
  const down = (magnitude) => MARGIN.top + y(magnitude) * (height - MARGIN.top - MARGIN.bottom);
  const bottom = height - MARGIN.bottom;

  const parts = [];
  for (const value of magnitudes.values) {
    const at = down(value);
    parts.push(svg("line", { x1: left, x2: width - MARGIN.right, y1: at, y2: at, class: "grid" }));
    const label = fixed(value, magnitudes.digits);
    parts.push(svg("text", { x: left - 5, y: at + 3, "text-anchor": "end" }, label));
  }
  for (const value of days.values) {
    const at = across(value);
    parts.push(svg("line", { x1: at, x2: at, y1: bottom, y2: bottom + 3, class: "axis" }));
    const label = fixed(value, days.digits);
    parts.push(svg("text", { x: at, y: bottom + 13, "text-anchor": "middle" }, label));
  }
  parts.push(svg("line", { x1: left, x2: width - MARGIN.right, y1: bottom, y2: bottom, class: "axis" }));
  const middle = (left + width - MARGIN.right) / 2;
  const words = map.rows === "alerts" ? "days from this alert" : `days from MJD ${fixed(zero, 1)}`;
  const below = svg("text", { x: middle, y: height - 4, "text-anchor": "middle" }, words);
  parts.push(below);
  const name = svg("text", { x: 0, y: 0, "text-anchor": "middle", transform: `translate(8 ${(MARGIN.top + bottom) / 2}) rotate(-90)` }, "magnitude");
  parts.push(name);
  const own = map.rows === "alerts" ? nearest(detections, detail) : null;
  for (const point of points) {
    const [cx, cy] = [across(point.day), down(point.magnitude)];
    const colour = map.filters[point.fid]?.[1] ?? map.unlabelled;
    if (point.limit) {
      const corners = `${cx - 3.5},${cy - 2.5} ${cx + 3.5},${cy - 2.5} ${cx},${cy + 3.5}`;
      parts.push(svg("polygon", { points: corners, class: "limit", stroke: colour }));
      continue;
    }
    const [high, low] = [down(point.magnitude - point.error), down(point.magnitude + point.error)];
    if (low - high > 4) {
      parts.push(svg("line", { x1: cx, x2: cx, y1: high, y2: Math.min(low, bottom), class: "error", stroke: colour }));
    }
    parts.push(svg("circle", { cx, cy, r: 2.8, class: "detection", fill: colour }));
    if (point === own) parts.push(svg("circle", { cx, cy, r: 5.5, class: "own" }));
  }
  const label = `Light curve: ${counted(detections.length, "detections")}, ${counted(limits, "upper limits")}`;
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...parts);
  return element("figure", { class: "light-curve" }, drawing, legend(map, points, limits > 0));
}

/** A scale from values to [0, 1] with its round numbers. */
function axis(values, room, about, least) {
  let [low, high] = extent(values);
  const short = Math.max(0, least - (high - low)) / 2;
  const margin = (high - low + 2 * short) * room;
  [low, high] = [low - short - margin, high + short + margin];
  const digits = Math.max(0, -Math.floor(Math.log10(tickStep(low, high, about)) + 1e-9));
  return [(value) => (value - low) / (high - low), { values: ticks(low, high, about), digits }];
}

/** The alert's own detection: at its time, in its filter. */
function nearest(detections, detail) {
  if (detail.mjd === null || detail.mjd === undefined) return null;
  const same = detections.filter((point) => detail.fid === null || point.fid === detail.fid);
  const candidates = same.filter((point) => Math.abs(point.day) < 0.02);
  return candidates.sort((a, b) => Math.abs(a.day) - Math.abs(b.day))[0] ?? null;
}

function legend(map, points, limits) {
  const used = Object.entries(map.filters).filter(([fid]) => points.some((point) => String(point.fid) === fid));
  const entries = used.map(([, [name, colour]]) => {
    const dot = svg("svg", { viewBox: "0 0 8 8", class: "key" }, svg("circle", { cx: 4, cy: 4, r: 3, fill: colour }));
    return element("span", {}, dot, name);
  });
  if (limits) {
    const triangle = svg("polygon", { points: "1,1.5 7,1.5 4,7", class: "limit", stroke: "currentColor" });
    entries.push(element("span", {}, svg("svg", { viewBox: "0 0 8 8", class: "key" }, triangle), "upper limit"));
  }
  return element("figcaption", { class: "keys" }, ...entries);
}
