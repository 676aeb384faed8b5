// Undo mmc_viz/films/packing.py.

import { openBlock } from "./bytes.js";

/**
 * A film: its header, and `reels` with features, places and losses (Float32Array), predicted
 * (Uint8Array) and powers (Int16Array), all frame after frame.
 */
export async function unpackFilm(bytes) {
  const { header, block, begin } = await openBlock(bytes);
  let at = begin;
  const take = (count) => {
    const part = block.subarray(at, at + count);
    if (part.length !== count) throw new Error("a part is missing");
    at += 4 * Math.ceil(count / 4);
    return part;
  };
  const floatsOf = (count) => new Float32Array(take(4 * count).slice().buffer);
  const count = header.labels.length;
  const frames = header.epochs.length;
  const classes = header.class_names.length;
  const { channels, height, width } = header.shape;
  const images = take(count * channels * height * width);
  const reels = header.reels.map((reel, r) => ({
    ...reel,
    rows: header.rows.slice(r * frames, (r + 1) * frames),
    features: floatsOf(frames * count * 2),
    places: floatsOf(frames * classes * 2),
    losses: floatsOf(frames * count),
    predicted: take(frames * count),
    powers: addUp(take(2 * frames * classes * header.resolution ** 2), header.resolution),
  }));
  return { ...header, images, reels, count, frames, classes };
}

/** Differences, taken twice along each row, back to numbers. */
function addUp(bytes, columns) {
  const count = bytes.length / 2;
  const values = new Int16Array(count); // wraps around, as the packing did
  for (let i = 0; i < count; i++) values[i] = bytes[i] | (bytes[count + i] << 8);
  for (let start = 0; start < count; start += columns) {
    for (const _ of [1, 2]) {
      for (let i = start + 1; i < start + columns; i++) values[i] += values[i - 1];
    }
  }
  return values;
}

/** {size, powers}: the grid of a frame and a class; of all classes together for the class -1. */
export function gridOf(film, reel, frame, label) {
  const size = film.resolution;
  const of = (k) => {
    const start = (frame * film.classes + k) * size ** 2;
    return reel.powers.subarray(start, start + size ** 2);
  };
  if (label >= 0) return { size, powers: of(label) };
  return leastOf(Array.from({ length: film.classes }, (_, k) => of(k)), size);
}

/**
 * The least of several grids, three times as fine: where two are equal it has an edge, and between
 * the points of a grid each of them is smoother than the least.
 */
function leastOf(grids, size) {
  const fine = 3 * (size - 1) + 1;
  const powers = new Float32Array(fine * fine).fill(Infinity);
  for (const grid of grids) {
    for (let row = 0; row < fine; row++) {
      const r = Math.min(Math.floor(row / 3), size - 2);
      const v = row / 3 - r;
      for (let column = 0; column < fine; column++) {
        const c = Math.min(Math.floor(column / 3), size - 2);
        const u = column / 3 - c;
        const i = r * size + c;
        const value = (1 - v) * ((1 - u) * grid[i] + u * grid[i + 1])
          + v * ((1 - u) * grid[i + size] + u * grid[i + size + 1]);
        const to = row * fine + column;
        if (value < powers[to]) powers[to] = value;
      }
    }
  }
  return { size: fine, powers };
}
