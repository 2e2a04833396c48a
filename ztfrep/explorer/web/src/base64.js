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

/** The little-endian float32 numbers of a base64 text. @param {string} text */
export function floats(text) {
  const { buffer, byteOffset, byteLength } = bytes(text);
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}
