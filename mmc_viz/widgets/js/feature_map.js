// A map of one model's features: clean ones that stand still, attacked ones that move, anchors.

import { fitPlane, paintPoints, sizeCanvas, traceMarker } from "./canvas.js";

const RADIUS = 6; // of a moving point, in CSS pixels

/** Where the points of a map stand on a canvas of this size, in device pixels. */
export function planMap(view, drawn, width, height) {
  const ratio = sizeCanvas(view.map, width, height);
  const { width: w, height: h } = view.map;
  view.plane = fitPlane(drawn.bounds, 0, 0, w, h, { pad: 0.06 });
  view.ratio = ratio;
  const { plane } = view;
  view.map.dataset.plane = [plane.x(0) / ratio, plane.y(0) / ratio, plane.scale / ratio].join();
  view.map.dataset.count = drawn.positions.length;
}

/** Where image n is at a step that may lie between two budgets: [x, y] in the unit of the map. */
export function placeAt(positions, count, shown, n) {
  const before = Math.floor(shown);
  const part = shown - before;
  const i = 2 * (before * count + n);
  if (!part) return [positions[i], positions[i + 1]];
  const j = i + 2 * count;
  return [
    positions[i] + part * (positions[j] - positions[i]),
    positions[i + 1] + part * (positions[j + 1] - positions[i + 1]),
  ];
}

/** What does not move: the clean features below, the anchors and their names above. */
function paintLayers(view, scene) {
  const { drawn, atlas, colours, isShown, key } = scene;
  const { plane, ratio } = view;
  view.under.renew(view.map, key, colours, (under) => paintPoints(under, atlas.labels.length, {
    x: (i) => plane.x(drawn.background[2 * i]),
    y: (i) => plane.y(drawn.background[2 * i + 1]),
    label: (i) => atlas.labels[i],
    colours, radius: 2.4 * ratio, alpha: 0.28, shown: (i) => isShown(atlas.labels[i]),
  }));
  view.over.renew(view.map, key, colours, (over) => {
    paintAnchors(over, view, scene);
    if (scene.isLinear) paintUnit(over, view, scene);
  });
}

function paintAnchors(context, view, { drawn, run, colours, isShown }) {
  const { plane, ratio } = view;
  const size = 7 * ratio;
  const places = run.names
    .map((name, i) => ({ name, i, x: plane.x(drawn.anchors[2 * i]), y: plane.y(drawn.anchors[2 * i + 1]) }))
    .filter(({ i }) => isShown(i));
  for (const { i, x, y } of places) {
    context.lineJoin = "round";
    context.beginPath();
    traceMarker(context, i, x, y, size);
    context.strokeStyle = colours.page;
    context.lineWidth = 6 * ratio;
    context.stroke();
    context.fillStyle = colours.page;
    context.fill();
    context.strokeStyle = colours.ink;
    context.lineWidth = 4 * ratio;
    context.stroke();
    context.strokeStyle = colours.classes[i % colours.classes.length];
    context.lineWidth = 2 * ratio;
    context.stroke();
  }
  // Anchors that fall onto one spot, as they do in a plane of three, share a label.
  const groups = [];
  for (const place of places) {
    const near = groups.find(([one]) => Math.hypot(one.x - place.x, one.y - place.y) < 9 * ratio);
    if (near) near.push(place);
    else groups.push([place]);
  }
  context.font = `600 ${13 * ratio}px ${colours.family}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  const taken = places.map(({ x, y }) => box(x - size, y - size, 2 * size, 2 * size));
  for (const [{ name, x, y }, ...rest] of groups) {
    const text = rest.length > 2 ? `${rest.length + 1} classes` : [name, ...rest.map((o) => o.name)].join(", ");
    const spot = findSpot(x, y, context.measureText(text).width, 16 * ratio, 11 * ratio, taken, view.map);
    taken.push(spot);
    context.strokeStyle = colours.page;
    context.lineWidth = 4 * ratio;
    context.strokeText(text, spot.x, spot.y + spot.height / 2);
    context.fillStyle = colours.ink;
    context.fillText(text, spot.x, spot.y + spot.height / 2);
  }
}

function box(x, y, width, height) {
  return { x, y, width, height };
}

function overlap(a, b) {
  const w = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const h = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0;
}

/** The place about a point where a label covers least of what is there already. */
function findSpot(x, y, width, height, gap, taken, canvas) {
  let best = null;
  let least = Infinity;
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, -1], [0, 1], [1, -1], [1, 1], [-1, -1], [-1, 1]]) {
    const spot = box(
      x + dx * gap + ((dx - 1) / 2) * width, y + dy * gap * (dx ? 1.2 : 1) + ((dy - 1) / 2) * height, width, height,
    );
    const inside = overlap(spot, box(0, 0, canvas.width, canvas.height));
    const cost = 4 * (width * height - inside) + taken.reduce((sum, one) => sum + overlap(spot, one), 0);
    if (cost < least - 1e-6) [best, least] = [spot, cost];
  }
  return best;
}

/** A bar as long as one class distance; a projection shows distances true or too short. */
function paintUnit(context, view, { model, colours }) {
  const { plane, ratio } = view;
  const length = plane.scale * model.class_distance;
  const [x, y] = [10 * ratio, view.map.height - 10 * ratio];
  context.strokeStyle = colours.ink;
  context.lineWidth = 2 * ratio;
  context.beginPath();
  context.moveTo(x, y - 4 * ratio);
  context.lineTo(x, y);
  context.lineTo(x + length, y);
  context.lineTo(x + length, y - 4 * ratio);
  context.stroke();
  context.font = `${13 * ratio}px ${colours.family}`;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.strokeStyle = colours.page;
  context.lineWidth = 4 * ratio;
  context.strokeText("1 class distance", x + 5 * ratio, y - 3 * ratio);
  context.fillStyle = colours.ink;
  context.fillText("1 class distance", x + 5 * ratio, y - 3 * ratio);
}

function paintTails(context, view, scene, members, alpha) {
  const { drawn, run, colours, shown } = scene;
  const { plane, ratio } = view;
  context.globalAlpha = alpha;
  context.lineWidth = 1.3 * ratio;
  context.lineJoin = "round";
  const byClass = new Map();
  for (const n of members) {
    if (!byClass.has(run.labels[n])) byClass.set(run.labels[n], []);
    byClass.get(run.labels[n]).push(n);
  }
  for (const [label, some] of byClass) {
    context.strokeStyle = colours.classes[label % colours.classes.length];
    context.beginPath();
    for (const n of some) {
      for (let k = 0; k < shown; k++) {
        const i = 2 * (k * run.count + n);
        const [x, y] = [plane.x(drawn.positions[i]), plane.y(drawn.positions[i + 1])];
        if (k) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
      const [x, y] = placeAt(drawn.positions, run.count, shown, n);
      if (shown > 0) context.lineTo(plane.x(x), plane.y(y));
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

/**
 * Draw a map. `scene` is {drawn, atlas, run, panel, model, colours, shown, step, chosen, pointed,
 * tails, brush, isShown, isLinear, key}, the last of what the layers depend on.
 */
export function paintMap(view, scene) {
  const context = view.map.getContext("2d");
  const { drawn, run, panel, colours, shown, step, chosen, pointed, brush } = scene;
  const { plane, ratio } = view;
  paintLayers(view, scene);
  context.clearRect(0, 0, view.map.width, view.map.height);
  context.drawImage(view.under.canvas, 0, 0);
  const all = run.labels.map((_, n) => n).filter((n) => scene.isShown(run.labels[n]));
  const picked = all.filter((n) => chosen.has(n));
  const rest = picked.length ? all.filter((n) => !chosen.has(n)) : [];
  const main = picked.length ? picked : all;
  if (scene.tails) {
    paintTails(context, view, scene, rest, 0.12);
    paintTails(context, view, scene, main, picked.length ? 0.9 : 0.5);
  }
  const points = (members, alpha) => paintPoints(context, members.length, {
    x: (i) => plane.x(placeAt(drawn.positions, run.count, shown, members[i])[0]),
    y: (i) => plane.y(placeAt(drawn.positions, run.count, shown, members[i])[1]),
    label: (i) => run.labels[members[i]],
    crossed: (i) => panel.success[step][members[i]],
    // The cross is cut out of the marker, whose colour and shape stay to be seen.
    colours: { ...colours, ink: colours.page }, radius: RADIUS * ratio, alpha,
  });
  points(rest, 0.3);
  points(main, 0.95);
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  for (const n of picked) ring(context, view, scene, n, 10);
  context.stroke();
  context.drawImage(view.over.canvas, 0, 0);
  if (pointed >= 0 && scene.isShown(run.labels[pointed])) {
    context.setLineDash([4 * ratio, 3 * ratio]);
    context.lineWidth = 2 * ratio;
    context.beginPath();
    ring(context, view, scene, pointed, 13);
    context.stroke();
    context.setLineDash([]);
  }
  if (brush) {
    context.fillStyle = colours.right;
    context.globalAlpha = 0.14;
    context.fillRect(brush.x, brush.y, brush.width, brush.height);
    context.globalAlpha = 1;
    context.strokeStyle = colours.right;
    context.strokeRect(brush.x, brush.y, brush.width, brush.height);
  }
}

function ring(context, view, { drawn, run, shown }, n, size) {
  const [x, y] = placeAt(drawn.positions, run.count, shown, n);
  const [px, py, r] = [view.plane.x(x), view.plane.y(y), size * view.ratio];
  context.moveTo(px + r, py);
  context.arc(px, py, r, 0, 2 * Math.PI);
}
