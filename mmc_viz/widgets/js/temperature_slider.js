// One dot an image: how steep cross-entropy is where the attack begins, at a temperature to turn.

import { make, openFrame } from "./page.js";
import { openLayer, paintAxes, sizeCanvas } from "./canvas.js";

const SMALLEST = -45; // log10 of what float32 still holds
const LARGEST = 3;
const HEIGHT = 270; // CSS pixels of a panel
const CURVE = 200; // ... and of the accuracies
const BOX = 0.24; // share of the width for the images without a slope

function writeTemperature(value) {
  return String(Number(value.toPrecision(4)));
}

/** The same sentence as write_sentence in Python. */
function writeSlopes(panel, step) {
  const [slopes, survives] = [panel.slopes[step], panel.survives[step]];
  const flat = slopes.filter((slope) => slope === 0).length;
  const alive = survives.filter(Boolean).length;
  const both = slopes.filter((slope, n) => slope === 0 && survives[n]).length;
  return (
    `${panel.title}: no slope on ${flat} of ${slopes.length} images; `
    + `${alive} survive the attack, ${both} of them without a slope.`
  );
}

function paintDot(context, x, y, radius, alive, colours) {
  context.beginPath();
  if (alive) {
    context.fillStyle = colours.right;
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  const arm = radius * 0.8;
  context.strokeStyle = colours.wrong;
  context.lineWidth = Math.max(1.5, radius * 0.5);
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
  context.stroke();
}

/** Stack dots on a floor, `columns` beside each other; survivors first. */
function paintPile(context, dots, { x, floor, pitch, columns, colours }) {
  dots.sort((a, b) => b - a).forEach((alive, i) => {
    const dx = (i % columns) + 0.5 - columns / 2;
    const y = floor - (Math.floor(i / columns) + 0.5) * pitch;
    paintDot(context, x + dx * pitch, y, 0.42 * pitch, alive, colours);
  });
}

/** The images of one model: without a slope in the box, all others over their power of ten. */
function paintSlopes(canvas, panel, step, width, colours) {
  const ratio = sizeCanvas(canvas, width, HEIGHT);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [left, top] = [10 * ratio, 30 * ratio];
  const height = canvas.height - top - 48 * ratio;
  const floor = top + height;
  const boxWidth = BOX * canvas.width;
  const start = left + boxWidth + 22 * ratio;
  const span = canvas.width - start - 14 * ratio;
  const x = (power) => start + (span * (power - SMALLEST)) / (LARGEST - SMALLEST);
  const flat = [];
  const piles = new Map();
  panel.slopes[step].forEach((slope, n) => {
    const alive = panel.survives[step][n];
    if (slope === 0) flat.push(alive);
    else {
      // Three powers of ten share a pile.
      const bin = Math.min(Math.max(Math.floor(Math.log10(slope) / 3), SMALLEST / 3), LARGEST / 3 - 1);
      if (!piles.has(bin)) piles.set(bin, []);
      piles.get(bin).push(alive);
    }
  });
  const ticks = [-45, -30, -15, 0];
  paintAxes(context, {
    left: start, top, width: span, height, ratio, colours, yTicks: [],
    xTicks: ticks.map((power) => [power, power ? `10${superscript(power)}` : "1"]),
    scales: { x }, xTitle: "slope of cross-entropy",
  });
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5 * ratio;
  context.strokeRect(left, top, boxWidth, height);
  context.fillStyle = colours.ink;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.font = `600 ${13 * ratio}px ${colours.family}`;
  context.fillText("exactly 0", left + boxWidth / 2, floor + 8 * ratio);
  context.textAlign = "left";
  context.textBaseline = "bottom";
  context.font = `700 ${15 * ratio}px ${colours.family}`;
  context.fillText(panel.title, left, top - 8 * ratio);
  // Small enough that the fullest pile fits, whatever the temperature.
  const count = panel.slopes[step].length;
  const pitch = Math.min(13 * ratio, Math.sqrt((boxWidth * height * 0.9) / count));
  const columns = Math.max(1, Math.floor((boxWidth - 4 * ratio) / pitch));
  paintPile(context, flat, { x: left + boxWidth / 2, floor: floor - 3 * ratio, pitch, columns, colours });
  const binWidth = x(3) - x(0);
  const tallest = Math.max(1, ...[...piles.values()].map((pile) => pile.length));
  let fine = pitch;
  while (fine * Math.ceil(tallest / Math.max(1, Math.floor(binWidth / fine))) > height) fine *= 0.95;
  for (const [bin, pile] of piles) {
    const beside = Math.max(1, Math.floor(binWidth / fine));
    paintPile(context, pile, { x: x(3 * bin + 1.5), floor: floor - 3 * ratio, pitch: fine, columns: beside, colours });
  }
}

function superscript(power) {
  return String(power).replace(/./g, (digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]));
}

/** What the attack leaves at each temperature, with a line at the present one. */
function paintAccuracies(canvas, layer, panels, temperatures, step, width, colours) {
  const ratio = sizeCanvas(canvas, width, CURVE);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const [left, top] = [52 * ratio, 34 * ratio];
  const [plotWidth, height] = [canvas.width - left - 24 * ratio, canvas.height - top - 46 * ratio];
  const last = Math.max(temperatures.length - 1, 1);
  const scales = {
    x: (k) => left + (plotWidth * k) / last,
    y: (percent) => top + height * (1 - percent / 100),
  };
  context.strokeStyle = colours.ink;
  context.lineWidth = 1.5 * ratio;
  context.setLineDash([4 * ratio, 3 * ratio]);
  context.beginPath();
  context.moveTo(scales.x(step), top);
  context.lineTo(scales.x(step), top + height);
  context.stroke();
  layer.renew(canvas, [], colours, (on) =>
    paintShares(on, panels, temperatures, { left, top, width: plotWidth, height, scales }, colours, ratio));
  context.drawImage(layer.canvas, 0, 0);
}

/** Axes, a line for each model, and a key to them. */
function paintShares(context, panels, temperatures, box, colours, ratio) {
  const { left, width, scales } = box;
  paintAxes(context, {
    ...box, colours, ratio,
    xTicks: temperatures.map((one, k) => [k, writeTemperature(one)]),
    yTicks: [0, 50, 100].map((tick) => [tick, String(tick)]),
    xTitle: "temperature T", yTitle: "survive the attack, %",
  });
  panels.forEach((panel, i) => {
    const shares = panel.survives.map((row) => (100 * row.filter(Boolean).length) / row.length);
    context.strokeStyle = context.fillStyle = colours.classes[i];
    context.lineWidth = 2.5 * ratio;
    context.setLineDash(i ? [8 * ratio, 5 * ratio] : []);
    context.beginPath();
    shares.forEach((share, k) => context.lineTo(scales.x(k), scales.y(share)));
    context.stroke();
    context.setLineDash([]);
    const r = 5 * ratio;
    context.beginPath();
    shares.forEach((share, k) => {
      const [x, y] = [scales.x(k), scales.y(share)];
      if (i) context.rect(x - r, y - r, 2 * r, 2 * r);
      else {
        context.moveTo(x + r, y);
        context.arc(x, y, r, 0, 2 * Math.PI);
      }
    });
    context.fill();
  });
  // A key in the upper right corner, over the axis.
  context.font = `600 ${13 * ratio}px ${colours.family}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  let at = left + width;
  [...panels].reverse().forEach((panel, j) => {
    const i = panels.length - 1 - j;
    at -= context.measureText(panel.title).width + 34 * ratio;
    const y = 14 * ratio;
    context.fillStyle = colours.classes[i];
    context.beginPath();
    if (i) context.rect(at, y - 5 * ratio, 10 * ratio, 10 * ratio);
    else context.arc(at + 5 * ratio, y, 5 * ratio, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = colours.ink;
    context.fillText(panel.title, at + 16 * ratio, y);
  });
}

function render({ model, el }) {
  const frame = openFrame(model, el, "temperature-slider");
  const field = make("label", "mmcviz-turn", frame.controls);
  make("span", "mmcviz-name", field).textContent = "Temperature T";
  const slider = make("input", "mmcviz-slider", field, { type: "range", min: 0, max: 0, step: 1 });
  const value = make("span", "mmcviz-temperature-value", field, { "aria-hidden": "true" });
  const note = make("span", "mmcviz-as-trained", field);
  const key = make("p", "mmcviz-dotkey", frame.body, { "aria-hidden": "true" });
  make("span", "mmcviz-alive", key).textContent = "●";
  key.append(" right after the attack   ");
  make("span", "mmcviz-fooled", key).textContent = "✕";
  key.append(" fooled");
  const grid = make("div", "mmcviz-slopes", frame.body);
  const curve = make("canvas", "mmcviz-canvas", frame.body, { role: "img" });
  let canvases = [];
  let shares = openLayer();

  function paint() {
    const [panels, temperatures] = [model.get("panels") ?? [], model.get("temperatures") ?? []];
    if (!panels.length) return false;
    const step = Math.min(Math.max(model.get("step"), 0), temperatures.length - 1);
    const available = frame.width;
    const beside = available >= 700 ? panels.length : 1;
    const width = Math.min(Math.floor((available - 24 * (beside - 1)) / beside), 640);
    if (width < 80) return false;
    if (canvases.length !== panels.length) {
      grid.replaceChildren();
      canvases = panels.map(() => make("canvas", "mmcviz-canvas", grid, { role: "img" }));
    }
    const written = writeTemperature(temperatures[step]);
    panels.forEach((panel, i) => {
      paintSlopes(canvases[i], panel, step, width, frame.colours);
      canvases[i].setAttribute("aria-label", `T = ${written}. ${writeSlopes(panel, step)}`);
    });
    paintAccuracies(curve, shares, panels, temperatures, step, Math.min(available, 1304), frame.colours);
    curve.setAttribute("aria-label", `Share that survives at each temperature; now T = ${written}.`);
    slider.max = temperatures.length - 1;
    slider.value = step;
    slider.setAttribute("aria-valuetext", `T = ${written}`);
    value.textContent = `T = ${written}`;
    note.textContent = temperatures[step] === 1 ? "as trained" : "";
    frame.root.dataset.step = step;
    frame.say(`T = ${written}. ${panels.map((panel) => writeSlopes(panel, step)).join(" ")}`);
    return true;
  }

  slider.addEventListener("input", () => frame.choose({ step: Number(slider.value) }, frame.since()));
  frame.onPaint(paint);
  frame.listen("change:step", () => frame.paint());
  for (const trait of ["panels", "temperatures"]) {
    frame.listen(`change:${trait}`, () => {
      shares = openLayer();
      frame.paint();
    });
  }
  frame.table(() => ({
    head: ["T", ...model.get("panels").flatMap(({ title }) => [`${title}: no slope`, `${title}: survive`])],
    rows: model.get("temperatures").map((temperature, k) => [
      writeTemperature(temperature),
      ...model.get("panels").flatMap(({ slopes, survives }) => [
        slopes[k].filter((slope) => slope === 0).length, survives[k].filter(Boolean).length,
      ]),
    ]),
  }));
  frame.paint();
  return frame.dispose;
}

export default { render };
