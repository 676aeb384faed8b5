// What the center workbench draws: the circle or sphere, the table of cosines, the gauge.

import { arcBetween, DEGREE } from "./angles.js";
import { parseColour, rotation3, traceMarker, turn3 } from "./canvas.js";

const NUMBERED = 40; // CSS pixels a cell from which its cosine fits
const EDGE = 34; // CSS pixels around the sphere, for labels

/** How the sphere stands: from coordinates to [right, up, towards the viewer], and to pixels. */
export function planScene(side, ratio, dim, [yaw, pitch]) {
  const size = side * ratio;
  const scale = size / 2 - EDGE * ratio;
  const rotation = rotation3(yaw * DEGREE, pitch * DEGREE);
  return {
    size,
    scale,
    ratio,
    rotation,
    flat: dim === 2,
    view: dim === 2 ? ([x, y]) => [x, y, 1] : (point) => turn3(rotation, point),
    x: (right) => size / 2 + scale * right,
    y: (up) => size / 2 - scale * up,
  };
}

/** Draw lines of points in view, first what lies behind, thin and broken, or what lies in front. */
function strokeLines(context, plan, lines, front, dash = []) {
  context.setLineDash(front ? [] : dash);
  context.beginPath();
  for (const line of lines) {
    let drawing = false;
    for (const [right, up, near] of line) {
      if (near >= 0 !== front) {
        drawing = false;
        continue;
      }
      if (drawing) context.lineTo(plan.x(right), plan.y(up));
      else context.moveTo(plan.x(right), plan.y(up));
      drawing = true;
    }
  }
  context.stroke();
  context.setLineDash([]);
}

/** Circles of latitude and longitude every 30 degrees. */
function drawGraticule() {
  const ring = Array.from({ length: 49 }, (_, step) => 7.5 * step * DEGREE);
  const lines = [];
  for (let at = -60; at <= 60; at += 30) {
    const [c, s] = [Math.cos(at * DEGREE), Math.sin(at * DEGREE)];
    lines.push(ring.map((t) => [c * Math.cos(t), c * Math.sin(t), s]));
  }
  for (let at = 0; at < 180; at += 30) {
    const [c, s] = [Math.cos(at * DEGREE), Math.sin(at * DEGREE)];
    lines.push(ring.map((t) => [c * Math.cos(t), s * Math.cos(t), Math.sin(t)]));
  }
  return lines;
}
const GRATICULE = drawGraticule();

function paintFrame(context, plan, colours) {
  const { size, ratio, scale } = plan;
  context.clearRect(0, 0, size, size);
  context.strokeStyle = colours.ink;
  context.lineWidth = ratio;
  if (plan.flat) {
    context.globalAlpha = 0.25;
    context.beginPath();
    context.moveTo(plan.x(-1.08), plan.y(0));
    context.lineTo(plan.x(1.08), plan.y(0));
    context.moveTo(plan.x(0), plan.y(-1.08));
    context.lineTo(plan.x(0), plan.y(1.08));
    context.stroke();
  } else {
    const shade = context.createRadialGradient(
      size / 2 - 0.35 * scale, size / 2 - 0.4 * scale, 0.1 * scale, size / 2, size / 2, scale,
    );
    shade.addColorStop(0, "rgba(128, 128, 128, 0.04)");
    shade.addColorStop(1, "rgba(128, 128, 128, 0.22)");
    context.fillStyle = shade;
    context.beginPath();
    context.arc(size / 2, size / 2, scale, 0, 2 * Math.PI);
    context.fill();
    const lines = GRATICULE.map((line) => line.map(plan.view));
    context.globalAlpha = 0.12;
    strokeLines(context, plan, lines, false);
    context.globalAlpha = 0.28;
    strokeLines(context, plan, lines, true);
  }
  context.globalAlpha = 0.6;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  context.arc(size / 2, size / 2, scale, 0, 2 * Math.PI);
  context.stroke();
  context.globalAlpha = 1;
}

/** The angle of the closest pair beside the middle of its arc, where nothing else stands. */
function paintAngle(context, plan, colours, arc, places, text) {
  const { ratio, size } = plan;
  const [right, up] = arc[Math.floor(arc.length / 2)];
  const taken = places.flatMap(([a, b]) => {
    const away = Math.hypot(a, b) || 1; // the marker, and its number beyond it
    return [1, 1 + (22 * ratio) / plan.scale / away].map((f) => [plan.x(a * f), plan.y(b * f)]);
  });
  context.font = `700 ${14 * ratio}px ${colours.family}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const half = context.measureText(text).width / 2 + 4 * ratio;
  let best = { room: -1 };
  for (let turn = 0; turn < 12; turn++) {
    const [x, y] = [
      plan.x(right) + 34 * ratio * Math.cos((turn * Math.PI) / 6),
      plan.y(up) + 24 * ratio * Math.sin((turn * Math.PI) / 6),
    ];
    if (x < half || x > size - half || y < 10 * ratio || y > size - 10 * ratio) continue;
    const room = Math.min(...taken.map(([a, b]) => Math.hypot((a - x) / 1.6, b - y)));
    if (room > best.room + ratio) best = { room, x, y };
  }
  context.lineWidth = 4 * ratio;
  context.strokeStyle = colours.page;
  context.strokeText(text, best.x, best.y);
  context.fillStyle = colours.wrongText;
  context.fillText(text, best.x, best.y);
}

function paintMarker(context, plan, colours, place, label, chosen) {
  const [right, up, near] = place;
  const { ratio } = plan;
  const front = near >= 0;
  const [x, y] = [plan.x(right), plan.y(up)];
  const radius = (plan.flat ? 10 : 8.5 + 2 * near) * ratio;
  const colour = colours.classes[label % colours.classes.length];
  if (chosen) {
    context.strokeStyle = colours.ink;
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.arc(x, y, radius + 6 * ratio, 0, 2 * Math.PI);
    context.stroke();
  }
  context.beginPath();
  traceMarker(context, label, x, y, radius);
  context.fillStyle = front ? colour : colours.page; // what lies behind is hollow
  context.fill();
  context.strokeStyle = front ? colours.page : colour;
  context.lineWidth = (front ? 1.5 : 2.2) * ratio;
  context.stroke();
  // The number stands outwards, where the picture has room.
  const away = Math.hypot(right, up);
  const [dx, dy] = away > 0.12 ? [right / away, -up / away] : [0, -1];
  const reach = radius + (chosen ? 16 : 12) * ratio;
  context.font = `600 ${14 * ratio}px ${colours.family}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4 * ratio;
  context.strokeStyle = colours.page;
  context.strokeText(label, x + dx * reach, y + dy * reach);
  context.globalAlpha = front ? 1 : 0.75;
  context.fillStyle = colours.ink;
  context.fillText(label, x + dx * reach, y + dy * reach);
  context.globalAlpha = 1;
}

/** Draw all centers on their circle or sphere, with arcs between the tight pairs. */
export function paintScene(context, plan, points, measured, chosen, colours) {
  const { ratio } = plan;
  paintFrame(context, plan, colours);
  const places = points.map(plan.view);
  const arcs = measured.tight.map(([i, j]) => arcBetween(points[i], points[j]).map(plan.view));
  if (plan.flat) {
    context.strokeStyle = colours.ink;
    context.globalAlpha = 0.45;
    context.lineWidth = 1.2 * ratio;
    context.beginPath();
    for (const [right, up] of places) {
      context.moveTo(plan.x(0), plan.y(0));
      context.lineTo(plan.x(right), plan.y(up));
    }
    context.stroke();
    context.globalAlpha = 1;
  }
  context.strokeStyle = colours.wrong;
  context.lineWidth = 2.5 * ratio;
  context.globalAlpha = 0.7;
  strokeLines(context, plan, arcs, false, [5 * ratio, 4 * ratio]);
  context.globalAlpha = 1;
  const order = points.map((_, i) => i).sort((i, j) => places[i][2] - places[j][2]);
  const behind = order.filter((i) => places[i][2] < 0);
  for (const i of behind) paintMarker(context, plan, colours, places[i], i, i === chosen);
  context.strokeStyle = colours.wrong;
  context.lineWidth = 5 * ratio;
  strokeLines(context, plan, arcs, true);
  for (const i of order.slice(behind.length)) {
    paintMarker(context, plan, colours, places[i], i, i === chosen);
  }
  const shown = measured.tight.findIndex(([i, j]) => i === measured.pair[0] && j === measured.pair[1]);
  const arc = arcs[Math.max(shown, 0)];
  paintAngle(context, plan, colours, arc, places, `${measured.smallest.toFixed(1)}°`);
}

/** Colour of a cosine: blue for far apart, orange for close, the page's own for a right angle. */
export function cosineColour(cosine, page) {
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
  for (let i = 0; i < count; i++) {
    const middle = head + (i + 0.5) * cell;
    context.font = `${i === chosen ? 800 : 500} ${13 * ratio}px ${colours.family}`;
    context.fillStyle = colours.ink;
    context.fillText(i, middle, head / 2);
    context.fillText(i, head / 2, middle);
    if (i === chosen) {
      context.fillRect(middle - 8 * ratio, head - 5 * ratio, 16 * ratio, 2 * ratio);
      context.fillRect(head - 5 * ratio, middle - 8 * ratio, 2 * ratio, 16 * ratio);
    }
  }
  const numbered = cell >= NUMBERED * ratio;
  context.font = `${Math.min(16, Math.max(13, cell / ratio / 3.2)) * ratio}px ${colours.family}`;
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
  for (let x = from; x < to; x += ratio) {
    context.fillStyle = `rgb(${cosineColour((2 * (x - from)) / (to - from) - 1, page)})`;
    context.fillRect(x, top, ratio + 1, 14 * ratio);
  }
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.strokeRect(from, top, to - from, 14 * ratio);
}
