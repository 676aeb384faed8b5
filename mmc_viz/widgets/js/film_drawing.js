// What the contour film draws beside maps and points: places, ticks, the legend.

import { niceTicks, traceMarker } from "./canvas.js";
import { paintLossScale } from "./loss_map.js";

export const LEGEND_HEIGHT = 84; // CSS pixels

/** A center, or class mean: the marker of its class, large and outlined. */
export function paintPlace(context, place, k, ratio, colours) {
  context.beginPath();
  traceMarker(context, k, place.placeX(k), place.placeY(k), 8 * ratio);
  context.lineWidth = 5 * ratio;
  context.strokeStyle = colours.page;
  context.stroke();
  context.fillStyle = colours.classes[k % colours.classes.length];
  context.fill();
  context.lineWidth = 2 * ratio;
  context.strokeStyle = colours.ink;
  context.stroke();
}

/** The edge of a panel, with ticks inside it. */
export function paintTicks(context, { reel, side, ratio }, colours) {
  const [left, right, bottom, top] = reel.extent;
  context.strokeStyle = colours.ink;
  context.lineWidth = ratio;
  context.strokeRect(ratio / 2, ratio / 2, side - ratio, side - ratio);
  context.font = `${13 * ratio}px ${colours.family}`;
  context.lineWidth = 3 * ratio;
  context.strokeStyle = colours.page;
  context.fillStyle = colours.ink;
  const write = (value, x, y) => {
    const text = String(value).replace("-", "−");
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (const value of niceTicks(left, right, 5)) {
    const x = (side * (value - left)) / (right - left);
    if (x < 34 * ratio || x > side - 20 * ratio) continue;
    context.fillRect(x, side - 6 * ratio, ratio, 6 * ratio);
    write(value, x, side - 7 * ratio);
  }
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const value of niceTicks(bottom, top, 5)) {
    const y = (side * (top - value)) / (top - bottom);
    if (y < 14 * ratio || y > side - 30 * ratio) continue;
    context.fillRect(0, y, 6 * ratio, ratio);
    write(value, 8 * ratio, y);
  }
}

/** The markers of the classes, and the scale of the loss below them. */
export function paintFilmLegend(legend, film, width, colours, ratio) {
  legend.clearRect(0, 0, width, LEGEND_HEIGHT * ratio);
  legend.font = `${13 * ratio}px ${colours.family}`;
  legend.textBaseline = "middle";
  legend.textAlign = "left";
  let x = 8 * ratio;
  film.class_names.forEach((name, k) => {
    legend.beginPath();
    traceMarker(legend, k, x, 12 * ratio, 5 * ratio);
    legend.fillStyle = colours.classes[k % colours.classes.length];
    legend.fill();
    legend.fillStyle = colours.ink;
    legend.fillText(name, x + 10 * ratio, 12 * ratio);
    x += legend.measureText(name).width + 28 * ratio;
  });
  legend.font = `600 ${13 * ratio}px ${colours.family}`;
  legend.fillText("loss", 2 * ratio, 46 * ratio);
  const from = 46 * ratio;
  paintLossScale(
    legend, from, 38 * ratio, Math.min(width - from - 24 * ratio, 420 * ratio), 16 * ratio, film,
    colours, ratio,
  );
}
