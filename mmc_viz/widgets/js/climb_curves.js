// Objective and margin of a climb against the step, with a cursor.

import { niceTicks, paintAxes } from "./canvas.js";
import { writeName } from "./slides.js";

/** Where the step of a place on the chart is, or -1 outside of it. */
export function stepAt(plots, x, steps) {
  if (!plots.length) return -1;
  const { left, width } = plots[0];
  const step = Math.round(((x - left) / width) * steps);
  return step >= 0 && step <= steps ? step : -1;
}

/** Draw one plot, or two one below the other, without the cursor; returns where they stand. */
export function paintCurves(context, canvas, header, slide, others, { colours, ratio }) {
  const both = slide.objective !== "margin";
  const rows = both ? 2 : 1;
  const [left, right, gap, foot] = [58 * ratio, 16 * ratio, 30 * ratio, 44 * ratio];
  const width = canvas.width - left - right;
  const height = (canvas.height - rows * gap - foot) / rows;
  const plots = [];
  for (let row = 0; row < rows; row++) {
    const isMargin = !both || row === 1;
    const key = isMargin ? "margins" : "reached";
    const top = gap + row * (height + gap);
    const plot = { left, top, width, height };
    const all = [slide, ...others].flatMap((one) => one[key]);
    let low = Math.min(...all, isMargin ? -1 : 0);
    let high = Math.max(...all, 1);
    const room = 0.08 * (high - low);
    [low, high] = [low - room, high + room];
    const scales = {
      x: (k) => left + (width * k) / header.steps,
      y: (value) => top + height * (1 - (value - low) / (high - low)),
    };
    if (isMargin) {
      // Striped, so that the side of error is told apart without seeing colour.
      context.save();
      context.beginPath();
      context.rect(left, top, width, scales.y(0) - top);
      context.clip();
      context.globalAlpha = 0.16;
      context.fillStyle = colours.wrong;
      context.fillRect(left, top, width, scales.y(0) - top);
      context.restore();
    }
    paintAxes(context, {
      ...plot,
      scales,
      xTicks: niceTicks(0, header.steps, Math.min(header.steps, 8)).filter(Number.isInteger)
        .map((k) => [k, row + 1 === rows ? String(k) : ""]),
      yTicks: niceTicks(low, high, 3).map((value) => [value, String(value).replace("-", "−")]),
      xTitle: row + 1 === rows ? "step" : "",
      yTitle: (isMargin ? "margin: above 0 the model errs" : `${writeName(slide.objective)}: what is climbed`)
        + (row || !others.length || width < 420 * ratio ? "" : "   (dashed: from the other starts)"),
      colours,
      ratio,
    });
    if (isMargin) line(context, [[left, scales.y(0)], [left + width, scales.y(0)]], colours.wrong, 2 * ratio);
    context.globalAlpha = 0.45;
    for (const one of others) {
      context.setLineDash([4 * ratio, 4 * ratio]);
      line(context, one[key].map((value, k) => [scales.x(k), scales.y(value)]), colours.ink, 1.3 * ratio);
      context.setLineDash([]);
    }
    context.globalAlpha = 1;
    line(context, slide[key].map((value, k) => [scales.x(k), scales.y(value)]), colours.right, 2.6 * ratio);
    plots.push({ ...plot, scales, key });
  }
  return plots;
}

/** Mark the step that is shown. */
export function paintCursor(context, plots, slide, { step, wrong, colours, ratio }) {
  for (const { top, height, scales, key } of plots) {
    const [x, y] = [scales.x(step), scales.y(slide[key][step])];
    line(context, [[x, top], [x, top + height]], colours.ink, 1.5 * ratio);
    context.beginPath();
    context.arc(x, y, 6 * ratio, 0, 2 * Math.PI);
    context.fillStyle = wrong ? colours.wrong : colours.right;
    context.fill();
    context.lineWidth = 2 * ratio;
    context.strokeStyle = colours.page;
    context.stroke();
  }
}

function line(context, points, colour, width) {
  context.beginPath();
  points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}
