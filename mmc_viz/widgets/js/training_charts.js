// Curves of models in training: one small chart a measure, one line a model.

import { niceTicks, paintAxes, sizeCanvas } from "./canvas.js";

const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]; // the second cue beside colour

/** Colours and dashes of the models, in their order. */
function lineStyle(colours, side, ratio) {
  return {
    colour: colours.classes[side],
    dash: DASHES[side].map((length) => length * ratio),
    width: 2.5 * ratio,
  };
}

/** Draw a sample of a model's line into a small canvas, for the legend. */
export function paintSample(canvas, side, colours) {
  const ratio = sizeCanvas(canvas, 42, 14);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const { colour, dash, width } = lineStyle(colours, side, ratio);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(0, canvas.height / 2);
  context.lineTo(canvas.width, canvas.height / 2);
  context.stroke();
  context.setLineDash([]);
}

function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) ticks.push(power);
  return ticks
    .filter((power) => power >= low - 1e-9 && power <= high + 1e-9)
    .map((power) => [10 ** power, power < -3 || power > 3 ? `1e${power}` : String(Number((10 ** power).toPrecision(3)))]);
}

/** Lowest and highest of the values, widened a little; on a logarithmic axis to whole powers. */
function rangeOf(values, log) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (!log) return [low, high];
  const [a, b] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return [a, a === b ? b + 1 : b];
}

/**
 * Paint one chart.
 *
 * `lines` are lists of values, null where there is none, one a model; `epochs` where they belong;
 * `last` the length of the run; `shown` the epoch that is looked at; `range` the ends of a linear
 * axis, or null for a logarithmic one. In `layer` stays what all of it but `shown` gives, for as long
 * as `key` is the same.
 */
export function paintChart(canvas, layer, key, { width, height, epochs, lines, last, shown, range, write, colours }) {
  const ratio = sizeCanvas(canvas, width, height);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const values = lines.flat().filter((value) => value !== null && (range || value > 0));
  const box = { left: 46 * ratio, top: 10 * ratio };
  box.width = canvas.width - box.left - 12 * ratio;
  box.height = canvas.height - box.top - 26 * ratio;
  if (!values.length) {
    context.font = `${14 * ratio}px ${colours.family}`;
    context.fillStyle = colours.ink;
    context.textAlign = "center";
    context.fillText("not known in these dimensions", canvas.width / 2, canvas.height / 2);
    return;
  }
  const log = !range;
  const [low, high] = range ?? rangeOf(values, true);
  const height01 = (value) => ((log ? Math.log10(Math.max(value, 1e-300)) : value) - low) / (high - low);
  const scales = {
    x: (epoch) => box.left + (box.width * epoch) / last,
    y: (value) => box.top + box.height * (1 - Math.min(Math.max(height01(value), 0), 1)),
  };
  layer.renew(canvas, key, colours, (below) => {
    const xTicks = niceTicks(0, last, 5).filter(Number.isInteger).map((value) => [value, String(value)]);
    const yTicks = log ? logTicks(low, high) : niceTicks(low, high, 4).map((value) => [value, write(value)]);
    paintAxes(below, { ...box, xTicks, yTicks, scales, colours, ratio });
    lines.forEach((line, side) => paintLine(below, scales, epochs, line, lineStyle(colours, side, ratio)));
  });
  context.drawImage(layer.canvas, 0, 0);
  const at = epochs.indexOf(shown);
  lines.forEach((line, side) => {
    if (at < 0 || line[at] === null) return;
    context.fillStyle = lineStyle(colours, side, ratio).colour;
    context.beginPath();
    context.arc(scales.x(shown), scales.y(line[at]), 4.5 * ratio, 0, 2 * Math.PI);
    context.fill();
  });
  context.strokeStyle = colours.ink;
  context.lineWidth = ratio;
  context.setLineDash([3 * ratio, 3 * ratio]);
  context.beginPath();
  context.moveTo(scales.x(shown), box.top);
  context.lineTo(scales.x(shown), box.top + box.height);
  context.stroke();
  context.setLineDash([]);
}

function paintLine(context, scales, epochs, line, { colour, dash, width }) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  let drawn = false;
  line.forEach((value, k) => {
    if (value === null) {
      drawn = false;
      return;
    }
    if (drawn) context.lineTo(scales.x(epochs[k]), scales.y(value));
    else context.moveTo(scales.x(epochs[k]), scales.y(value));
    drawn = true;
  });
  context.stroke();
  context.setLineDash([]);
}
