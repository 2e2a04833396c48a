// A sentence over the map.
import { byId } from "./dom.js";

/** Shows a sentence, for `ms` milliseconds or for good. */
export function say(text, ms = 0) {
  byId("message").textContent = text;
  byId("message").hidden = false;
  byId("loading").hidden = true;
  if (ms) setTimeout(() => (byId("message").hidden = true), ms);
}
