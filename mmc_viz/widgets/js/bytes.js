// Bytes on their way from Python to a picture.

/** The bytes of a trait: a DataView in Jupyter, an array or a buffer in other hosts. */
export function asBytes(value) {
  if (!value) return new Uint8Array(0);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** Undo Python's zlib.compress. */
async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Error("the bytes are damaged"); // the browser's own words name a failed download
  }
}

/**
 * Undo zlib.compress of a header in JSON and what follows it: {header, block, begin}, where `begin`
 * is the place in `block`, a multiple of four, from which the rest stands.
 */
export async function openBlock(bytes) {
  const block = await inflate(bytes);
  const length = new DataView(block.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(block.subarray(4, 4 + length)));
  return { header, block, begin: 4 + 4 * Math.ceil(length / 4) };
}

/** Little-endian float32 numbers; copied, because the bytes may begin anywhere in their buffer. */
export function floats(value) {
  const bytes = asBytes(value);
  return new Float32Array(bytes.slice().buffer);
}
