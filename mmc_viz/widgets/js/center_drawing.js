// Centers on a circle or a sphere, drawn without WebGL: a few arcs and markers.

import { arcBetween, DEGREE } from "./angles.js";
import { rotation3, traceMarker, turn3 } from "./canvas.js";

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
  context.font = `600 ${14 * ratio}px ${colours.family}`; // of the markers' numbers
  context.textAlign = "center";
  context.textBaseline = "middle";
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
