// Shells of the loss of a class: where it lies between C and 2C, how many features are there, and
// how much room. Counts and room come from Python; here the shell is drawn, pixel by pixel.

import { asBytes, openBlock } from "./bytes.js";
import {
  drawCells, fitPlane, niceTicks, openLayer, paintAxes, paintPoints, parseColour, sizeCanvas,
} from "./canvas.js";
import { fillSelect, make, makeField, openFrame } from "./page.js";

const NARROW = 640;
const SPACE = 28;
const CELLS = 2; // CSS pixels of a cell in which the loss is looked at once

async function unpackShells(bytes) {
  const { header, block, begin } = await openBlock(bytes);
  const numbers = new Float32Array(block.buffer, begin);
  const [count, classes] = [header.labels.length, header.class_names.length];
  let at = 0;
  const take = (size) => numbers.subarray(at, (at += size));
  for (const one of header.models) {
    one.features = take(2 * count);
    one.weights = take(2 * classes);
    one.offsets = take(classes);
  }
  return header;
}

/** The loss of class `label` at a place: half the squared distance, or the softmax's. */
function lossAt(one, label, x, y) {
  if (one.bounded) {
    const [cx, cy] = one.centers[label];
    return ((x - cx) ** 2 + (y - cy) ** 2) / 2;
  }
  const { weights, offsets } = one;
  const own = weights[2 * label] * x + weights[2 * label + 1] * y + offsets[label];
  let most = -Infinity;
  for (let i = 0; i < offsets.length; i++) {
    if (i !== label) most = Math.max(most, weights[2 * i] * x + weights[2 * i + 1] * y + offsets[i] - own);
  }
  let sum = 0;
  for (let i = 0; i < offsets.length; i++) {
    if (i !== label) sum += Math.exp(weights[2 * i] * x + weights[2 * i + 1] * y + offsets[i] - own - most);
  }
  const rivals = most + Math.log(sum); // log of the sum of all rivals over the own class
  return rivals > 30 ? rivals : Math.log1p(Math.exp(rivals));
}

/** The same digits as write_short in mmc_viz/widgets/density_shells.py. */
function writeShort(value) {
  return String(Number(value.toPrecision(3)));
}

function densityOf(one, label, shell, frame) {
  const room = one.room[frame][label][shell];
  return room ? one.counts[label][shell] / room : NaN;
}

/** The same sentence as in Python. */
function writeShells(header, label, shell, frame) {
  const { edges, models, class_names: names } = header;
  const parts = [`${names[label]}, loss from ${writeShort(edges[shell])} to ${writeShort(edges[shell + 1])}.`];
  for (const one of models) {
    const room = one.room[frame][label][shell];
    const density = room ? `density ${writeShort(densityOf(one, label, shell, frame))}` : "no density";
    parts.push(`${one.title}: ${one.counts[label][shell]} of ${one.totals[label]} features, room `
      + `${one.bounded ? "in the ring" : "in this frame"} ${writeShort(room)}, ${density}.`);
  }
  return parts.join(" ");
}

/** The least and the largest loss in each cell of a square that is `half` wide on each side. */
function rangesOf(one, label, half, cells) {
  const step = (2 * half) / cells;
  const corners = new Float64Array((cells + 1) ** 2);
  for (let i = 0; i < corners.length; i++) {
    const [row, column] = [Math.floor(i / (cells + 1)), i % (cells + 1)];
    corners[i] = lossAt(one, label, -half + column * step, half - row * step);
  }
  const least = new Float64Array(cells * cells);
  const most = new Float64Array(cells * cells);
  for (let i = 0; i < least.length; i++) {
    const at = i + Math.floor(i / cells);
    const [a, b, c, d] = [corners[at], corners[at + 1], corners[at + cells + 1], corners[at + cells + 2]];
    least[i] = Math.min(a, b, c, d);
    most[i] = Math.max(a, b, c, d);
  }
  return { least, most };
}

/** What stays as it is from shell to shell: losses in the cells, losses of the features. */
function keepLosses(view, one, header, label, frame, half, cells) {
  const key = [label, frame, cells].join();
  if (view.losses?.key === key) return view.losses;
  const own = header.labels.map((_, n) => n).filter((n) => header.labels[n] === label);
  const losses = own.map((n) => lossAt(one, label, one.features[2 * n], one.features[2 * n + 1]));
  view.losses = { key, own, losses, ...rangesOf(one, label, half, cells) };
  return view.losses;
}

function paintSpace(view, width, { one, header, label, shell, frame, colours }) {
  const height = Math.round(Math.max(260, Math.min(width, 0.46 * window.innerHeight)));
  const ratio = sizeCanvas(view.space, width, height);
  const context = view.space.getContext("2d");
  const { width: w, height: h } = view.space;
  const half = one.half * header.frames[frame];
  const plane = fitPlane({ left: -half, right: half, bottom: -half, top: half }, 0, 0, w, h, { pad: 0 });
  const side = Math.min(w, h);
  const [left, top] = [(w - side) / 2, (h - side) / 2];
  context.clearRect(0, 0, w, h);

  // the shell
  const [low, high] = [header.edges[shell], header.edges[shell + 1]];
  const [r, g, b] = parseColour(colours.classes[label % colours.classes.length]);
  const inside = ((0x70 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  const cells = Math.ceil(side / (CELLS * ratio));
  const { own, losses, least, most } = keepLosses(view, one, header, label, frame, half, cells);
  // A cell is drawn if the shell may touch it: a strip thinner than a cell must not break.
  drawCells(
    context, cells, cells, (i) => (least[i] < high && most[i] >= low ? inside : 0),
    left, top, side, side, { smooth: true },
  );
  if (one.bounded) { // thin rings fall between the cells
    context.strokeStyle = colours.classes[label % colours.classes.length];
    context.lineWidth = 1.5 * ratio;
    for (const loss of [low, high]) {
      context.beginPath();
      context.arc(plane.x(one.centers[label][0]), plane.y(one.centers[label][1]), plane.scale * Math.sqrt(2 * loss), 0, 2 * Math.PI);
      context.stroke();
    }
  }
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.strokeRect(left + 0.5, top + 0.5, side - 1, side - 1);

  // the features
  const there = own.filter((_, i) => losses[i] >= low && losses[i] < high);
  view.element.dataset.inside = there.length;
  const draw = (on, members, radius, alpha) => paintPoints(on, members.length, {
    x: (i) => plane.x(one.features[2 * members[i]]),
    y: (i) => plane.y(one.features[2 * members[i] + 1]),
    label: (i) => header.labels[members[i]],
    colours, radius: radius * ratio, alpha,
  });
  view.points.renew(view.space, [label, frame], colours, (layer) => {
    const others = header.labels.map((_, n) => n).filter((n) => header.labels[n] !== label);
    draw(layer, others, 2, 0.22);
    draw(layer, own, 3.5, 0.55);
  });
  context.drawImage(view.points.canvas, 0, 0);
  draw(context, there, 5, 1);
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.2 * ratio;
  context.beginPath();
  for (const n of there) {
    const [x, y] = [plane.x(one.features[2 * n]), plane.y(one.features[2 * n + 1])];
    context.moveTo(x + 7 * ratio, y);
    context.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
  }
  context.stroke();

  // how wide the frame is
  context.font = `${13 * ratio}px ${colours.family}`;
  context.textAlign = "right";
  context.textBaseline = "bottom";
  context.lineWidth = 4 * ratio;
  context.strokeStyle = colours.page;
  const words = `${writeShort(2 * half)} units wide`;
  context.strokeText(words, left + side - 6 * ratio, top + side - 5 * ratio);
  context.fillStyle = colours.ink;
  context.fillText(words, left + side - 6 * ratio, top + side - 5 * ratio);
}

/** Density shell by shell, in each frame; the one that is shown is ringed. */
function paintDensities(view, width, { one, header, label, shell, frame, colours }) {
  const ratio = sizeCanvas(view.curve, width, 210);
  const context = view.curve.getContext("2d");
  const { width: w, height: h } = view.curve;
  context.clearRect(0, 0, w, h);
  const box = { left: 46 * ratio, top: 24 * ratio, width: w - 58 * ratio, height: h - 72 * ratio };
  const shells = header.edges.length - 1;
  const { low, high } = header.range;
  const x = (i) => box.left + ((i + 0.5) / shells) * box.width;
  const y = (log) => box.top + box.height * (1 - (log - low) / (high - low));
  view.curves.renew(view.curve, [label, frame], colours, (layer) =>
    paintCurvesOf(layer, { box, x, y }, { one, header, label, frame, colours, ratio }));
  context.drawImage(view.curves.canvas, 0, 0);
  const here = densityOf(one, label, shell, frame);
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  if (here > 0) context.arc(x(shell), y(Math.log10(here)), 7 * ratio, 0, 2 * Math.PI);
  else { // nothing is in this shell: a mark on the axis
    context.moveTo(x(shell), box.top + box.height - 8 * ratio);
    context.lineTo(x(shell), box.top + box.height);
  }
  context.stroke();
}

/** The axes, and one curve for each frame. */
function paintCurvesOf(context, { box, x, y }, { one, header, label, frame, colours, ratio }) {
  const { low, high } = header.range;
  const shells = header.edges.length - 1;
  const xTicks = header.edges.flatMap((edge, i) => (i < shells && i % 4 === 2 ? [[i - 0.5, writePower(2, Math.log2(edge))]] : []));
  const yTicks = niceTicks(low, high, 5).filter(Number.isInteger).map((log) => [log, writePower(10, log)]);
  paintAxes(context, {
    ...box, xTicks, yTicks, scales: { x, y }, xTitle: "loss C", yTitle: "features per unit of area", colours, ratio,
  });
  header.frames.forEach((_, f) => {
    if (one.bounded && f) return;
    const now = one.bounded || f === frame;
    context.strokeStyle = colours.classes[label % colours.classes.length];
    context.fillStyle = context.strokeStyle;
    context.globalAlpha = now ? 1 : 0.45;
    context.lineWidth = (now ? 2.2 : 1.2) * ratio;
    context.setLineDash(f ? [(f === 1 ? 6 : 2) * ratio, 3 * ratio] : []);
    context.beginPath();
    let open = false;
    for (let i = 0; i < shells; i++) {
      const density = densityOf(one, label, i, f);
      if (density > 0) {
        if (open) context.lineTo(x(i), y(Math.log10(density)));
        else context.moveTo(x(i), y(Math.log10(density)));
      }
      open = density > 0;
    }
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    for (let i = 0; i < shells; i++) {
      const density = densityOf(one, label, i, f);
      if (!(density > 0)) continue;
      context.moveTo(x(i) + 3 * ratio, y(Math.log10(density)));
      context.arc(x(i), y(Math.log10(density)), 3 * ratio, 0, 2 * Math.PI);
    }
    context.fill();
    context.globalAlpha = 1;
  });
}

function writePower(base, exponent) {
  const digits = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  return `${base}${[...String(exponent)].map((c) => digits[c]).join("")}`;
}

/** The range of all densities, so that curves of classes and models can be compared by eye. */
function rangeOf(header) {
  let [low, high] = [Infinity, -Infinity];
  for (const one of header.models) {
    one.room.forEach((_, f) => one.counts.forEach((counts, label) => counts.forEach((_, i) => {
      const density = densityOf(one, label, i, f);
      if (density > 0) [low, high] = [Math.min(low, density), Math.max(high, density)];
    })));
  }
  return { low: Math.floor(Math.log10(low)), high: Math.ceil(Math.log10(high)) };
}

function render({ model, el }) {
  const frameOf = openFrame(model, el, "shells");
  const { root, controls, body } = frameOf;
  const classes = makeField(controls, "Class", "select");
  const wide = makeField(controls, "Frame", "select");
  const line = make("label", "mmcviz-lossline", controls);
  make("span", "mmcviz-name", line).textContent = "Loss C";
  const slider = make("input", "mmcviz-slider", line, { type: "range", min: 0, max: 0, step: 1, value: 0 });
  const readout = make("span", "mmcviz-losses", line, { "aria-hidden": "true" });
  const panels = make("div", "mmcviz-panels", body);
  let header = null;
  let views = [];
  let request = 0;

  const clamp = (name, size) => Math.min(Math.max(model.get(name) ?? 0, 0), size - 1);
  const state = () => ({
    label: clamp("label", header.class_names.length),
    shell: clamp("shell", header.edges.length - 1),
    frame: clamp("frame", header.frames.length),
  });

  frameOf.onPaint(() => {
    if (!header) return false;
    const available = frameOf.width;
    const perRow = available < NARROW ? 1 : Math.min(header.models.length, Math.floor(available / (NARROW / 2)));
    const width = Math.floor((available - (perRow - 1) * SPACE) / perRow);
    panels.style.gridTemplateColumns = `repeat(${perRow}, minmax(0, 1fr))`;
    const now = state();
    const text = writeShells(header, now.label, now.shell, now.frame);
    header.models.forEach((one, place) => {
      const view = views[place];
      const scene = { one, header, colours: frameOf.colours, ...now };
      paintSpace(view, width, scene);
      paintDensities(view, width, scene);
      const what = one.bounded ? "a ring" : "a strip without end";
      view.title.textContent = `${one.title}: ${what}`;
      view.space.setAttribute("aria-label", `Feature space of ${one.title} with ${what}. ${text}`);
      view.curve.setAttribute("aria-label", `Density of ${header.class_names[now.label]} in each shell of ${one.title}.`);
    });
    const [low, high] = [header.edges[now.shell], header.edges[now.shell + 1]].map(writeShort);
    readout.textContent = `${low} to ${high}`;
    slider.value = now.shell;
    slider.setAttribute("aria-valuetext", readout.textContent);
    classes.selectedIndex = now.label;
    wide.selectedIndex = now.frame;
    Object.assign(root.dataset, now);
    frameOf.say(text);
    return true;
  });

  slider.addEventListener("input", () => frameOf.choose({ shell: Number(slider.value) }, frameOf.since()));
  classes.addEventListener("change", () => frameOf.choose({ label: classes.selectedIndex }, frameOf.since()));
  wide.addEventListener("change", () => frameOf.choose({ frame: wide.selectedIndex }, frameOf.since()));

  function listNumbers() {
    const { label, frame } = state();
    const { edges, models } = header;
    const below = models.flatMap((one) => [String(one.below[label]), "–", "–"]);
    const row = (edge, i) => [writeShort(edge), writeShort(edges[i + 1]), ...models.flatMap((one) => {
      const density = densityOf(one, label, i, frame);
      return [
        String(one.counts[label][i]), writeShort(one.room[frame][label][i]),
        Number.isNaN(density) ? "–" : writeShort(density),
      ];
    })];
    return {
      head: ["loss from", "to", ...models.flatMap(({ title }) => [`${title} features`, "room", "density"])],
      rows: [["0", writeShort(edges[0]), ...below], ...edges.slice(0, -1).map(row)],
    };
  }

  async function load() {
    const mine = ++request;
    const bytes = asBytes(model.get("shells"));
    if (!bytes.length) {
      frameOf.fail(model.get("locked") ? "" : "There is nothing to show. Run the cell again.");
      return;
    }
    let found;
    try {
      found = await unpackShells(bytes);
    } catch (error) {
      if (mine === request) frameOf.fail(`These shells cannot be shown (${error.message}). Run the cell again.`);
      return;
    }
    if (mine !== request) return;
    header = found;
    header.range = rangeOf(header);
    frameOf.fail("");
    slider.max = header.edges.length - 2;
    fillSelect(classes, header.class_names);
    fillSelect(wide, header.frames.map((times) => (times === 1 ? "around the features" : `${times} times as wide`)));
    panels.replaceChildren();
    views = header.models.map(() => {
      const element = make("div", "mmcviz-panel", panels, { role: "group" });
      const title = make("p", "mmcviz-title", element);
      const space = make("canvas", "mmcviz-canvas mmcviz-space", element, { role: "img" });
      const curve = make("canvas", "mmcviz-canvas mmcviz-curve", element, { role: "img" });
      return { element, title, space, curve, points: openLayer(), curves: openLayer(), losses: null };
    });
    frameOf.paint();
    frameOf.table(listNumbers);
  }

  frameOf.listen("change:shells", load);
  for (const trait of ["label", "shell", "frame"]) {
    frameOf.listen(`change:${trait}`, () => { if (header) frameOf.paint(); });
  }
  frameOf.onDispose(() => { request++; });
  load();
  return () => frameOf.dispose();
}

export default { render };
