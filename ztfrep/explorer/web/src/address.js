// The state of the map in the address of the page: a copied link shows the same.

/** What the part after # says: projection, colour, row and id, each text or null. */
export function readAddress() {
  const values = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(
    ["projection", "colour", "row", "id"].map((name) => [name, values.get(name)]),
  );
}

/**
 * Changes the address. @param {Record<string, any>} state values that are null are left out
 * @param {boolean} step whether the button Back returns to the state before
 */
export function writeAddress(state, step) {
  const values = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (value !== null && value !== undefined) values.set(name, String(value));
  }
  const hash = `#${values}`;
  if (hash === location.hash) return;
  if (step) location.hash = hash;
  else location.replace(hash);
}
