// A loss over a plane as a picture: colours for its powers of ten, and lines where it is 0.01, 0.1,
// 1, 10, with their values beside them.

import { CIVIDIS, drawCells } from "./canvas.js";

/**
 * Where a grid has a level, as segments [x1, y1, x2, y2] in units of cells, rows from the bottom up:
 * marching squares with linear interpolation.
 */
function contourSegments(values, size, level) {
  const segments = [];
  const cross = (a, b) => (level - a) / (b - a);
  for (let row = 0; row + 1 < size; row++) {
    for (let column = 0; column + 1 < size; column++) {
      const at = row * size + column;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + size + 1], values[at + size]];
      const above = (a >= level) + 2 * (b >= level) + 4 * (c >= level) + 8 * (d >= level);
      if (above === 0 || above === 15) continue;
      const bottom = () => [column + cross(a, b), row];
      const right = () => [column + 1, row + cross(b, c)];
      const top = () => [column + cross(d, c), row + 1];
      const left = () => [column, row + cross(a, d)];
      const add = (from, to) => segments.push([...from(), ...to()]);
      switch (above) {
        case 1: case 14: add(left, bottom); break;
        case 2: case 13: add(bottom, right); break;
        case 3: case 12: add(left, right); break;
        case 4: case 11: add(right, top); break;
        case 6: case 9: add(bottom, top); break;
        case 7: case 8: add(left, top); break;
        case 5: add(left, bottom); add(right, top); break;
        default: add(bottom, right); add(left, top);
      }
    }
  }
  return segments;
}

/**
 * A power of ten as log(e^loss - 1): for two classes of a softmax loss of equal scales that is linear
 * in the feature (mmc_viz/contours/theorem.py), so lines between the points of a grid come out smooth.
 */
function straighten(power) {
  if (power < -5) return power * Math.LN10; // e^x - 1 is x
  const loss = 10 ** power;
  return loss > 30 ? loss : Math.log(Math.expm1(loss));
}

/** A loss's colour, 0xAABBGGRR, for its power of ten. */
function lossColour(power, { lowest, highest }) {
  return CIVIDIS((power - lowest) / (highest - lowest));
}

/**
 * Draw a map into a square of `side` device pixels: the grid has size x size numbers, `film.scale`
 * of them a power of ten. Words stay clear of `places`, [x, y] in device pixels.
 */
export function paintLossMap(context, side, { size, powers }, film, places, colours, ratio) {
  const { scale } = film;
  const flip = (i) => (size - 1 - Math.floor(i / size)) * size + (i % size);
  context.clearRect(0, 0, side, side);
  context.globalAlpha = colours.dark ? 0.4 : 0.5; // so that points stand out on any page
  // A cell's colour belongs to its middle, a grid's value to its corner: half a cell more on each side.
  const over = side / (size - 1) / 2;
  drawCells(
    context, size, size, (i) => lossColour(powers[flip(i)] / scale, film),
    -over, -over, side + 2 * over, side + 2 * over, { smooth: true },
  );
  context.globalAlpha = 1;
  const cell = side / (size - 1);
  context.font = `600 ${13 * ratio}px ${colours.family}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const taken = [...places];
  const straight = Float32Array.from(powers, (value) => straighten(value / scale));
  for (let power = Math.ceil(film.lowest) + 1; power < film.highest; power++) {
    const segments = contourSegments(straight, size, straighten(power));
    context.strokeStyle = colours.ink;
    context.globalAlpha = power === 0 ? 0.9 : 0.55;
    context.lineWidth = (power === 0 ? 1.8 : 1) * ratio;
    context.beginPath();
    for (const [x1, y1, x2, y2] of segments) {
      context.moveTo(x1 * cell, side - y1 * cell);
      context.lineTo(x2 * cell, side - y2 * cell);
    }
    context.stroke();
    context.globalAlpha = 1;
    paintLevel(context, side, segments, cell, `${10 ** power}`, taken, colours, ratio);
  }
}

/** Write a level beside its line, where it is far from the edge and from other levels. */
function paintLevel(context, side, segments, cell, text, taken, colours, ratio) {
  let best = null;
  for (const [x1, y1] of segments) {
    const [x, y] = [x1 * cell, side - y1 * cell];
    const edge = Math.min(x, y, side - x, side - y) - 16 * ratio;
    if (edge < 0) continue;
    const room = Math.min(4 * edge, ...taken.map(([a, b]) => Math.hypot(a - x, b - y)), 90 * ratio)
      + 0.02 * x - 0.02 * y;
    if (!best || room > best.room) best = { room, x, y };
  }
  if (!best || best.room < 24 * ratio) return;
  taken.push([best.x, best.y]);
  context.lineWidth = 3.5 * ratio;
  context.strokeStyle = colours.page;
  context.strokeText(text, best.x, best.y);
  context.fillStyle = colours.ink;
  context.fillText(text, best.x, best.y);
}

/** Draw the scale of colours with the powers of ten below it. */
export function paintLossScale(context, x, y, width, height, film, colours, ratio) {
  const { lowest, highest } = film;
  context.globalAlpha = colours.dark ? 0.4 : 0.5;
  drawCells(context, 1, 128, (i) => lossColour(lowest + ((highest - lowest) * i) / 127, film),
    x, y, width, height);
  context.globalAlpha = 1;
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.strokeRect(x, y, width, height);
  context.font = `${13 * ratio}px ${colours.family}`;
  context.fillStyle = colours.ink;
  context.textAlign = "center";
  context.textBaseline = "top";
  for (let power = Math.ceil(lowest); power <= highest; power++) {
    const at = x + (width * (power - lowest)) / (highest - lowest);
    context.fillRect(at - ratio / 2, y + height, ratio, 4 * ratio);
    context.fillText(`${10 ** power}`, at, y + height + 6 * ratio);
  }
}
