// The table of all cosines between centers: a colour for each, a number where it fits.

import { DEGREE } from "./angles.js";
import { parseColour } from "./canvas.js";

const NUMBERED = 44; // CSS pixels a cell from which its cosine fits

/** Colour of a cosine: blue for far apart, orange for close, the page's own for a right angle. */
function cosineColour(cosine, page) {
  const strength = Math.min(Math.abs(cosine), 1) * 0.85;
  const end = cosine < 0 ? [0, 114, 178] : [213, 94, 0];
  return page.map((value, c) => Math.round(value + strength * (end[c] - value)));
}

const inkOn = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff");

/** A cosine in a cell: two decimals, without a leading zero where room is scarce. */
const writeCosine = (cosine) => {
  const text = Math.abs(cosine) < 0.005 ? "0" : cosine.toFixed(2);
  return text.replace("-", "−");
};

/** Where the cells of the table stand, in device pixels. */
export function planTable(side, ratio, count) {
  const head = 26 * ratio;
  const foot = 34 * ratio; // for the scale of colours
  const cell = Math.floor((side * ratio - head - foot) / count);
  return {
    ratio,
    head,
    cell,
    width: side * ratio,
    height: side * ratio,
    at: (x, y) => {
      const [column, row] = [Math.floor((x - head) / cell), Math.floor((y - head) / cell)];
      const inside = Math.min(column, row) >= 0 && Math.max(column, row) < count;
      return inside ? [row, column] : null;
    },
  };
}

/** Draw the cosines of all pairs, a dot in those of the tight ones. */
export function paintTable(context, plan, points, measured, chosen, colours) {
  const { head, cell, ratio } = plan;
  const count = points.length;
  const page = parseColour(colours.dark ? "#111111" : "#ffffff");
  const gap = count > 12 ? 1 : 2 * ratio;
  context.clearRect(0, 0, plan.width, plan.height);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  const font = (weight) => `${weight} ${13 * ratio}px ${colours.family}`;
  context.font = font(500);
  for (let i = 0; i < count; i++) {
    const middle = head + (i + 0.5) * cell;
    if (i === chosen) context.font = font(800);
    context.fillText(i, middle, head / 2);
    context.fillText(i, head / 2, middle);
    if (i === chosen) {
      context.fillRect(middle - 8 * ratio, head - 5 * ratio, 16 * ratio, 2 * ratio);
      context.fillRect(head - 5 * ratio, middle - 8 * ratio, 2 * ratio, 16 * ratio);
      context.font = font(500);
    }
  }
  const numbered = cell >= NUMBERED * ratio;
  context.font = `${Math.min(16, Math.max(13, cell / ratio / 3.8)) * ratio}px ${colours.family}`;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      const cosine = i === j ? 1 : Math.cos(measured.angles[i][j] * DEGREE);
      const [x, y] = [head + j * cell, head + i * cell];
      const rgb = i === j ? page : cosineColour(cosine, page);
      context.fillStyle = `rgb(${rgb})`;
      context.fillRect(x, y, cell - gap, cell - gap);
      if (i === j) {
        context.strokeStyle = colours.line;
        context.lineWidth = ratio;
        context.strokeRect(x + ratio, y + ratio, cell - gap - 2 * ratio, cell - gap - 2 * ratio);
      }
      if (!numbered) continue;
      context.fillStyle = inkOn(rgb);
      context.fillText(writeCosine(cosine), x + cell / 2, y + cell / 2 + (i === j ? 0 : 2 * ratio));
    }
  }
  const dot = Math.min(4.5 * ratio, cell / 5);
  for (const [i, j] of measured.tight) {
    for (const [row, column] of [[i, j], [j, i]]) {
      context.beginPath();
      context.arc(head + (column + 1) * cell - gap - 2 * dot, head + row * cell + 2 * dot, dot, 0, 7);
      context.fillStyle = "#000";
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5 * ratio;
      context.fill();
      context.stroke();
    }
  }
  paintScale(context, plan, count, page, colours);
}

function paintScale(context, plan, count, page, colours) {
  const { head, ratio } = plan;
  const top = head + count * plan.cell + 8 * ratio;
  const width = Math.min(count * plan.cell, plan.width - head);
  context.font = `${13 * ratio}px ${colours.family}`;
  context.textBaseline = "middle";
  context.fillStyle = colours.ink;
  context.textAlign = "left";
  context.fillText("cosine −1", head, top + 7 * ratio);
  const words = context.measureText("cosine −1 ").width;
  context.textAlign = "right";
  context.fillText("+1", head + width, top + 7 * ratio);
  const [from, to] = [head + words, head + width - 26 * ratio];
  const scale = context.createLinearGradient(from, 0, to, 0);
  for (const cosine of [-1, 0, 1]) { // between them colours are linear in the cosine
    scale.addColorStop((cosine + 1) / 2, `rgb(${cosineColour(cosine, page)})`);
  }
  context.fillStyle = scale;
  context.fillRect(from, top, to - from, 14 * ratio);
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.strokeRect(from, top, to - from, 14 * ratio);
}
