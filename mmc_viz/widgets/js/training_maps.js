// Feature maps of models in training: points, class means, centers, and who wins where.

import { drawCells, fitPlane, niceTicks, paintAxes, paintPoints, parseColour, sizeCanvas } from "./canvas.js";

const REGION_CELL = 4; // CSS pixels of one cell of the background
const REGION_ALPHA = { light: 34, dark: 52 }; // of 255

/** Cut what mmc_viz.duels.pack packed: for each moment and side the arrays of one map. */
export function unpackMaps(values, moments, sides, images, classes) {
  const frames = [];
  let at = 0;
  const take = (count) => values.subarray(at, (at += count));
  for (let k = 0; k < moments; k++) {
    frames.push(Array.from({ length: sides }, () => ({
      points: take(2 * images),
      predictions: take(images),
      means: take(2 * classes),
      centers: take(2 * classes),
      regions: take(4 * classes),
    })));
  }
  return frames;
}

/** The smallest box about all points and centers of some maps. */
export function boundsOf(maps) {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const { points, centers } of maps) {
    for (const values of [points, centers]) {
      for (let i = 0; i < values.length; i += 2) {
        if (Number.isNaN(values[i])) continue;
        box.left = Math.min(box.left, values[i]);
        box.right = Math.max(box.right, values[i]);
        box.bottom = Math.min(box.bottom, values[i + 1]);
        box.top = Math.max(box.top, values[i + 1]);
      }
    }
  }
  return box;
}

/** What lies between two maps: share 0 is `from`, 1 is `to`. What is no place is taken from `to`. */
export function between(from, to, share) {
  if (share >= 1 || !from || from.points.length !== to.points.length) return to;
  const mix = (a, b) => b.map((value, i) => a[i] + share * (value - a[i]));
  return {
    ...to,
    points: mix(from.points, to.points),
    means: mix(from.means, to.means),
    centers: mix(from.centers, to.centers),
  };
}

/** Class with the largest logit -s |z - m|^2 + b at a point of the plane. */
function winnerAt(regions, x, y) {
  let best = 0;
  let most = -Infinity;
  for (let i = 0, k = 0; i < regions.length; i += 4, k++) {
    const dx = x - regions[i];
    const dy = y - regions[i + 1];
    const logit = regions[i + 3] - regions[i + 2] * (dx * dx + dy * dy);
    if (logit > most) {
      most = logit;
      best = k;
    }
  }
  return best;
}

/** Image whose point lies nearest to a place in device pixels, or -1 where none is near. */
export function nearestPoint(map, plane, x, y, reach) {
  let best = -1;
  let least = reach * reach;
  for (let n = 0; 2 * n < map.points.length; n++) {
    const dx = plane.x(map.points[2 * n]) - x;
    const dy = plane.y(map.points[2 * n + 1]) - y;
    if (dx * dx + dy * dy < least) {
      least = dx * dx + dy * dy;
      best = n;
    }
  }
  return best;
}

function paintRegions(context, regions, plane, box, colours, ratio) {
  const cell = REGION_CELL * ratio;
  const [columns, rows] = [Math.ceil(box.width / cell), Math.ceil(box.height / cell)];
  const alpha = REGION_ALPHA[colours.dark ? "dark" : "light"];
  const tints = colours.classes.map((colour) => {
    const [r, g, b] = parseColour(colour);
    return ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
  const xs = Float64Array.from({ length: columns }, (_, i) => plane.dataX(box.left + (i + 0.5) * cell));
  const ys = Float64Array.from({ length: rows }, (_, i) => plane.dataY(box.top + (i + 0.5) * cell));
  const tintAt = (i) => tints[winnerAt(regions, xs[i % columns], ys[Math.floor(i / columns)]) % tints.length];
  drawCells(context, rows, columns, tintAt, box.left, box.top, columns * cell, rows * cell);
}

/** A name with a rim in the colour of the page, so that it is read on any points. */
function writeOn(context, text, x, y, colours, ratio) {
  context.strokeStyle = colours.page;
  context.lineWidth = 4 * ratio;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillStyle = colours.ink;
  context.fillText(text, x, y);
}

/**
 * Paint one map; returns the plane in which it lies.
 *
 * `names` are those of the classes, `labels` the true class of each image, `pointed` the image that
 * is pointed at or -1, `exact` whether the axes are the features themselves.
 */
export function paintMap(canvas, map, { width, height, bounds, names, labels, pointed, exact, colours }) {
  const ratio = sizeCanvas(canvas, width, height);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const box = { left: 38 * ratio, top: 6 * ratio };
  box.width = canvas.width - box.left - 6 * ratio;
  box.height = canvas.height - box.top - 26 * ratio;
  const plane = fitPlane(bounds, box.left, box.top, box.width, box.height, { pad: 0.06 });
  context.save();
  context.beginPath();
  context.rect(box.left, box.top, box.width, box.height);
  context.clip();
  if (exact && !Number.isNaN(map.regions[0])) {
    paintRegions(context, map.regions, plane, box, colours, ratio);
  }
  context.restore();
  const right = box.left + box.width;
  const bottom = box.top + box.height;
  const ticks = (low, high) => niceTicks(low, high, 5).map((value) => [value, String(value).replace("-", "−")]);
  paintAxes(context, {
    ...box,
    xTicks: ticks(plane.dataX(box.left), plane.dataX(right)),
    yTicks: ticks(plane.dataY(bottom), plane.dataY(box.top)),
    scales: plane,
    colours,
    ratio,
  });
  const radius = Math.min(Math.max(width / 130, 2.6), 4) * ratio;
  const { points, predictions, means, centers } = map;
  paintPoints(context, labels.length, {
    x: (n) => plane.x(points[2 * n]),
    y: (n) => plane.y(points[2 * n + 1]),
    label: (n) => labels[n],
    crossed: (n) => predictions[n] !== labels[n],
    radius,
    alpha: 0.85,
    colours,
  });
  context.font = `700 ${15 * ratio}px ${colours.family}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  names.forEach((name, k) => {
    if (!Number.isNaN(centers[2 * k])) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 2 * ratio;
      context.beginPath();
      context.arc(plane.x(centers[2 * k]), plane.y(centers[2 * k + 1]), 11 * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
    if (!Number.isNaN(means[2 * k])) {
      writeOn(context, name, plane.x(means[2 * k]), plane.y(means[2 * k + 1]), colours, ratio);
    }
  });
  if (pointed >= 0) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 2.5 * ratio;
    context.beginPath();
    context.arc(plane.x(points[2 * pointed]), plane.y(points[2 * pointed + 1]), 7 * ratio, 0, 2 * Math.PI);
    context.stroke();
  }
  return plane;
}
