// The hill of a climb: heights in colour, lines of equal height, the boundary, the budget, the path.

import { CIVIDIS, drawCells } from "./canvas.js";

const LEVELS = 9; // lines of equal height, about

/** Round steps between the lowest and the highest value. */
function chooseLevels(low, high) {
  const rough = (high - low) / LEVELS;
  if (!(rough > 0)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const levels = [];
  for (let i = Math.ceil(low / step); i * step < high; i++) levels.push(Number((i * step).toPrecision(12)));
  return levels;
}

/** Segments [x0, y0, x1, y1] on which a grid takes a value, in steps of the grid: marching squares. */
function traceLevel(values, side, level) {
  const segments = [];
  const cross = (from, to) => (level - from) / (to - from);
  for (let row = 0; row + 1 < side; row++) {
    for (let column = 0; column + 1 < side; column++) {
      const i = row * side + column;
      const [a, b, c, d] = [values[i], values[i + 1], values[i + side + 1], values[i + side]];
      const ends = [];
      if (a < level !== b < level) ends.push([column + cross(a, b), row]);
      if (b < level !== c < level) ends.push([column + 1, row + cross(b, c)]);
      if (d < level !== c < level) ends.push([column + cross(d, c), row + 1]);
      if (a < level !== d < level) ends.push([column, row + cross(a, d)]);
      for (let k = 0; k + 1 < ends.length; k += 2) segments.push([...ends[k], ...ends[k + 1]]);
    }
  }
  return segments;
}

/** Where the plane of a slide stands in a square of device pixels. */
export function placeHill(slide, left, top, size) {
  const scale = size / (2 * slide.extent);
  const cell = size / (slide.side - 1);
  return {
    left, top, size, cell,
    x: (a) => left + (a + slide.extent) * scale,
    y: (b) => top + size - (b + slide.extent) * scale,
    column: (c) => left + c * cell,
    row: (r) => top + size - r * cell,
  };
}

function strokeSegments(context, place, segments) {
  context.beginPath();
  for (const [x0, y0, x1, y1] of segments) {
    context.moveTo(place.column(x0), place.row(y0));
    context.lineTo(place.column(x1), place.row(y1));
  }
  context.stroke();
}

/** What does not change with the step: heights, lines, flat ground, boundary, budget. */
export function paintHill(context, slide, place, { colours, ratio }) {
  const { side, values } = slide;
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low || 1;
  context.save();
  context.beginPath();
  context.rect(place.left, place.top, place.size, place.size);
  context.clip();
  // A grid point is the middle of its cell, so half a cell hangs over on every side.
  const half = place.cell / 2;
  drawCells(
    context, side, side,
    (i) => CIVIDIS((values[(side - 1 - Math.floor(i / side)) * side + (i % side)] - low) / span),
    place.left - half, place.top - half, place.size + 2 * half, place.size + 2 * half,
    { smooth: true },
  );
  context.lineWidth = ratio;
  context.strokeStyle = "rgba(255, 255, 255, 0.35)";
  for (const level of chooseLevels(low, high)) {
    strokeSegments(context, place, traceLevel(values, side, level));
  }
  if (slide.objective === "cross_entropy") paintFlat(context, slide, place, ratio);

  // The boundary: white under vermilion, so that it stands out on any height.
  const boundary = traceLevel(slide.margin, side, 0);
  context.lineCap = "round";
  for (const [colour, width] of [["#ffffff", 6.5], ["#d55e00", 4]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    strokeSegments(context, place, boundary);
  }

  context.beginPath();
  slide.outline.forEach(([a, b], i) => {
    if (i) context.lineTo(place.x(a), place.y(b));
    else context.moveTo(place.x(a), place.y(b));
  });
  context.closePath();
  context.strokeStyle = "#000000";
  context.lineWidth = 3.5 * ratio;
  context.stroke();
  context.setLineDash([7 * ratio, 5 * ratio]);
  context.strokeStyle = "#ffffff";
  context.lineWidth = 2 * ratio;
  context.stroke();
  context.restore();
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.strokeRect(place.left, place.top, place.size, place.size);
  return { low, high };
}

/** Grey with hatching where cross-entropy has no slope at all. */
function paintFlat(context, slide, place, ratio) {
  const { side, flat } = slide;
  context.save();
  context.beginPath();
  for (let i = 0; i < flat.length; i++) {
    if (!flat[i]) continue;
    const x = place.column(i % side) - place.cell / 2;
    const y = place.row(Math.floor(i / side)) - place.cell / 2;
    context.rect(x, y, place.cell + 0.5, place.cell + 0.5);
  }
  context.clip();
  context.fillStyle = "#6b6b6b";
  context.fillRect(place.left, place.top, place.size, place.size);
  context.beginPath();
  for (let at = -place.size; at < place.size; at += 9 * ratio) {
    context.moveTo(place.left + at, place.top + place.size);
    context.lineTo(place.left + at + place.size, place.top);
  }
  context.strokeStyle = "rgba(255, 255, 255, 0.4)";
  context.lineWidth = 1.2 * ratio;
  context.stroke();
  context.restore();
}

function tracePath(context, place, points) {
  context.beginPath();
  points.forEach(([a, b], i) => {
    if (i) context.lineTo(place.x(a), place.y(b));
    else context.moveTo(place.x(a), place.y(b));
  });
  context.stroke();
}

/** The climb so far, what is still to come, the step that leads on, and where it stands now. */
export function paintClimb(context, slide, place, { step, at, wrong, label, colours, ratio }) {
  const { places } = slide;
  context.save();
  context.beginPath();
  context.rect(place.left, place.top, place.size, place.size);
  context.clip();
  context.lineJoin = context.lineCap = "round";

  context.setLineDash([1, 5 * ratio]);
  context.strokeStyle = "rgba(255, 255, 255, 0.75)";
  context.lineWidth = 2.2 * ratio;
  tracePath(context, place, places.slice(step));
  context.setLineDash([]);
  for (const [colour, width] of [["#000000", 5], ["#ffffff", 2.6]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    tracePath(context, place, [...places.slice(0, Math.floor(at) + 1), between(places, at)]);
  }
  // The step before it is projected, and the way back that the projection takes.
  if (at === step && step + 1 < places.length && slide.slopes[step] > 0) {
    paintArrow(context, place, places[step], slide.ahead[step], ratio);
    context.setLineDash([4 * ratio, 4 * ratio]);
    context.strokeStyle = "#f0a060";
    context.lineWidth = 2 * ratio;
    tracePath(context, place, [slide.ahead[step], places[step + 1]]);
    context.setLineDash([]);
  }

  const clean = [place.x(0), place.y(0)];
  paintMark(context, ...clean, ratio, (r) => {
    context.moveTo(clean[0] - r, clean[1]);
    context.lineTo(clean[0] + r, clean[1]);
    context.moveTo(clean[0], clean[1] - r);
    context.lineTo(clean[0], clean[1] + r);
  });
  writeBeside(context, "clean image", ...clean, place, { leftwards: true, colours, ratio });

  const [a, b] = between(places, at);
  const [x, y] = [place.x(a), place.y(b)];
  context.beginPath();
  context.arc(x, y, 7.5 * ratio, 0, 2 * Math.PI);
  context.fillStyle = wrong ? "#d55e00" : "#0072b2";
  context.fill();
  context.lineWidth = 3 * ratio;
  context.strokeStyle = "#ffffff";
  context.stroke();
  context.lineWidth = 1.2 * ratio;
  context.strokeStyle = "#000000";
  context.beginPath();
  context.arc(x, y, 9.3 * ratio, 0, 2 * Math.PI);
  context.stroke();
  if (wrong) {
    const arm = 3 * ratio;
    context.beginPath();
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2.2 * ratio;
    context.stroke();
  }
  // Above the point, for the path runs on below or beside it.
  const high = y - 24 * ratio > place.top;
  writeBeside(context, label, x, high ? y - 20 * ratio : y, place, {
    leftwards: !high, colours, ratio, weight: 600,
  });
  context.restore();
}

function between(places, at) {
  const i = Math.min(Math.floor(at), places.length - 1);
  const j = Math.min(i + 1, places.length - 1);
  return [0, 1].map((k) => places[i][k] + (at - i) * (places[j][k] - places[i][k]));
}

function paintMark(context, x, y, ratio, trace) {
  for (const [colour, width] of [["#000000", 5], ["#ffffff", 2.4]]) {
    context.beginPath();
    trace(8 * ratio);
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.stroke();
  }
}

/** Words on a plate beside a point, on the side where there is room. */
function writeBeside(context, text, x, y, place, { leftwards, colours, ratio, weight = 400 }) {
  context.font = `${weight} ${13 * ratio}px ${colours.family}`;
  const width = context.measureText(text).width + 10 * ratio;
  const height = 20 * ratio;
  const gap = 14 * ratio;
  const fits = leftwards ? x - gap - width > place.left : x + gap + width < place.left + place.size;
  const corner = leftwards === fits ? x - gap - width : x + gap;
  const top = Math.min(Math.max(y - height / 2, place.top), place.top + place.size - height);
  context.fillStyle = "rgba(0, 0, 0, 0.72)";
  context.fillRect(corner, top, width, height);
  context.fillStyle = "#ffffff";
  context.textAlign = "left";
  context.textBaseline = "middle";
  context.fillText(text, corner + 5 * ratio, top + height / 2 + ratio);
}

function paintArrow(context, place, from, to, ratio) {
  const [x0, y0, x1, y1] = [place.x(from[0]), place.y(from[1]), place.x(to[0]), place.y(to[1])];
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return;
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
  const head = Math.min(9 * ratio, 0.5 * length);
  for (const [colour, width] of [["#000000", 5], ["#f0a060", 3]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * ratio;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.moveTo(x1 - head * (ux - 0.6 * uy), y1 - head * (uy + 0.6 * ux));
    context.lineTo(x1, y1);
    context.lineTo(x1 - head * (ux + 0.6 * uy), y1 - head * (uy - 0.6 * ux));
    context.stroke();
  }
}
