// Beside a map: the distances that no map can distort, and the images that are picked out.

import { drawImage8, niceTicks, sizeCanvas } from "./canvas.js";

const BINS = 36;
const CELL = 98; // of an image that is picked out, in CSS pixels
const PICTURE = 58;
const MOST_ROWS = 3;

/** The range of distances over all budgets, and the fullest bin, so that nothing rescales. */
function planDistances(run, model) {
  const unit = model.class_distance;
  let most = 0;
  for (const values of [model.own, model.other]) for (const v of values) most = Math.max(most, v / unit);
  const top = Math.ceil(most * 5) / 5;
  let fullest = 1;
  for (let k = 0; k < run.epsilons.length; k++) {
    for (const values of [model.own, model.other]) {
      fullest = Math.max(fullest, ...countBins(values.subarray(k * run.count, (k + 1) * run.count), unit, top));
    }
  }
  return { top, fullest };
}

function countBins(values, unit, top) {
  const counts = new Array(BINS).fill(0);
  for (const v of values) counts[Math.min(Math.floor((v / unit / top) * BINS), BINS - 1)]++;
  return counts;
}

export function paintDistances(view, width, { run, model, colours, step, isShown }) {
  model.plan ??= planDistances(run, model);
  const ratio = sizeCanvas(view.distances, width, 118);
  const context = view.distances.getContext("2d");
  const { width: w, height: h } = view.distances;
  context.clearRect(0, 0, w, h);
  const { top, fullest } = model.plan;
  const [left, bottom, high] = [4 * ratio, h - 40 * ratio, h - 46 * ratio];
  const bar = (w - 2 * left) / BINS;
  const slice = (values) => values.subarray(step * run.count, (step + 1) * run.count)
    .filter((_, n) => isShown(run.labels[n]));
  const own = countBins(slice(model.own), model.class_distance, top);
  const other = countBins(slice(model.other), model.class_distance, top);
  context.fillStyle = colours.right;
  own.forEach((count, i) => {
    const tall = (count / fullest) * high;
    context.fillRect(left + i * bar + ratio / 2, bottom - tall, bar - ratio, tall);
  });
  context.strokeStyle = colours.wrong;
  context.lineWidth = 2 * ratio;
  context.setLineDash([5 * ratio, 2 * ratio]);
  context.beginPath();
  context.moveTo(left, bottom);
  other.forEach((count, i) => {
    const y = bottom - (count / fullest) * high;
    context.lineTo(left + i * bar, y);
    context.lineTo(left + (i + 1) * bar, y);
  });
  context.lineTo(left + BINS * bar, bottom);
  context.stroke();
  context.setLineDash([]);
  context.strokeStyle = colours.ink;
  context.lineWidth = ratio;
  context.beginPath();
  context.moveTo(left, bottom + ratio / 2);
  context.lineTo(w - left, bottom + ratio / 2);
  context.stroke();
  context.fillStyle = colours.ink;
  context.font = `${13 * ratio}px ${colours.family}`;
  context.textBaseline = "top";
  for (const tick of niceTicks(0, top, 5)) {
    const x = left + (tick / top) * BINS * bar;
    context.textAlign = tick === 0 ? "left" : x > w - 16 * ratio ? "right" : "center";
    context.fillText(String(tick), x, bottom + 4 * ratio);
  }
  context.textAlign = "center";
  context.fillText("true distance, in class distances", w / 2, bottom + 22 * ratio);
}

// ---- the images that are picked out --------------------------------------------------------------

function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}

/** Draw the chosen images as they are at this step, each over its class and what the model sees. */
export function paintStrip(view, width, { run, panel, colours, step, picked }) {
  const columns = Math.max(1, Math.floor(width / CELL));
  const fits = columns * MOST_ROWS;
  const list = picked.length > fits ? picked.slice(0, fits - 1) : picked;
  const more = picked.length - list.length;
  const rows = Math.ceil((list.length + Boolean(more)) / columns);
  const pitch = PICTURE + 46;
  view.strip.hidden = !rows;
  view.strip.dataset.shown = list.join();
  if (!rows) return;
  const ratio = sizeCanvas(view.strip, width, rows * pitch);
  const context = view.strip.getContext("2d");
  context.clearRect(0, 0, view.strip.width, view.strip.height);
  const pixels = run.channels * run.height * run.width;
  const side = PICTURE * ratio;
  context.textAlign = "center";
  context.textBaseline = "top";
  list.forEach((n, i) => {
    const x = ((i % columns) * CELL + (CELL - PICTURE) / 2) * ratio;
    const y = (Math.floor(i / columns) * pitch + 4) * ratio;
    drawImage8(context, panel.images, (n * run.epsilons.length + step) * pixels, run, x, y, side, side);
    const fooled = Boolean(panel.success[step][n]);
    const seen = panel.predictions[step][n];
    const thick = (fooled ? 3 : 1.5) * ratio;
    context.lineWidth = thick;
    context.strokeStyle = fooled ? colours.wrong : colours.right;
    context.strokeRect(x - thick / 2, y - thick / 2, side + thick, side + thick);
    const room = (CELL - 4) * ratio;
    context.font = `${13 * ratio}px ${colours.family}`;
    context.fillStyle = colours.ink;
    const middle = x + side / 2;
    context.fillText(shorten(context, run.names[run.labels[n]], room), middle, y + side + 4 * ratio);
    if (fooled) {
      context.font = `600 ${13 * ratio}px ${colours.family}`;
      context.fillStyle = colours.wrongText;
    }
    const words = fooled && seen === run.labels[n] ? "✕ earlier" : `${fooled ? "✕ " : "→ "}${run.names[seen]}`;
    context.fillText(shorten(context, words, room), middle, y + side + 20 * ratio);
  });
  if (more) {
    const i = list.length;
    context.fillStyle = colours.ink;
    context.font = `${13 * ratio}px ${colours.family}`;
    const x = ((i % columns) * CELL + CELL / 2) * ratio;
    context.fillText(`and ${more} more`, x, (Math.floor(i / columns) * pitch + 26) * ratio);
  }
}
