// Arrays of numbers in base64.

/**
 * The bytes of a base64 text.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

/**
 * The little-endian numbers of a base64 text.
 * @template {Float32Array|Float64Array} T
 * @param {string} text
 * @param {{new (buffer: ArrayBuffer): T}} type
 */
export const numbers = (text, type) => new type(bytes(text).buffer);
