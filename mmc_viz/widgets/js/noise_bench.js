// The noise bench: images under noise and rotation, two sliders, and what each model sees.
//
// Python sends the turned images and one draw of noise (mmc_viz/disturbances.py describes them). The
// pictures are made here in whole numbers, so they are the ones that the models were shown.

import { asBytes, openBlock } from "./bytes.js";
import {
  fillAtlas, listenToGrid, niceTicks, openGrid, openLayer, paintAxes, paintGrid, planGrid, sizeCanvas, sizeGrid,
  traceMarker,
} from "./canvas.js";
import { buildOutcomes, make, makeButton, openFrame } from "./page.js";

const NARROWEST = 160; // of a panel, in CSS pixels: both models should be in view with the sliders
const CHARTS_BESIDE = 560; // width in CSS pixels from which the two charts stand side by side
const GAP = 28;
const SHARE = 0.5; // of the window's height that a grid may take: the curves stand below
const CHART = 230;
const HINT = "Point at an image, or go to a grid with Tab and use the arrow keys.";
const HUES = [2, 5, 4, 7]; // of the classes' colours, for the lines of the models
const DASHES = [[], [7, 4], [2, 4], [9, 3, 2, 3]];

async function unpackBench(bytes) {
  const { header: bench, block, begin } = await openBlock(bytes);
  if (bench.format !== 1) throw new Error(`format ${bench.format} is not known here`);
  const { count, channels, height, width } = bench.shape;
  const pixels = channels * height * width;
  const size = bench.degrees.length * count * pixels;
  const turned = block.subarray(begin, begin + size);
  const noise = new Int16Array(block.buffer, begin + Math.ceil(size / 4) * 4, count * pixels);
  return { ...bench, ...bench.shape, names: bench.class_names, pixels, turned, noise };
}

/** The same arithmetic as noisy in mmc_viz/disturbances.py. */
function disturbImages(bench, noise, turn, into) {
  const strength = Math.round(255 * 256 * bench.sigmas[noise]);
  const start = turn * into.length;
  for (let i = 0; i < into.length; i++) {
    const value = bench.turned[start + i] + ((strength * bench.noise[i] + 32768) >> 16);
    into[i] = value < 0 ? 0 : value > 255 ? 255 : value;
  }
}

function percentRight(right, count) {
  return Math.floor((200 * right + count) / (2 * count));
}

function writeAngle(degrees) {
  return `${String(degrees).replace("-", "−")}°`;
}

/** The same sentence as write_sentence in Python. */
function writeBench(bench, noise, turn) {
  const counts = bench.models.map(({ title, right }) => {
    const here = right[noise][turn];
    return `${title} gets ${here} of ${bench.count} right (${percentRight(here, bench.count)} %)`;
  });
  return `Noise σ = ${bench.sigmas[noise]}, turned by ${writeAngle(bench.degrees[turn])}: `
    + `${counts.join(", ")}. A pixel has changed by ${bench.change[noise][turn].toFixed(3)} on average.`;
}

function buildSlider(parent, label) {
  const field = make("label", "mmcviz-strength", parent);
  make("span", "mmcviz-name", field).textContent = label;
  const slider = make("input", "mmcviz-slider", field, { type: "range", min: 0, max: 0, step: 1 });
  const value = make("span", "mmcviz-value", field, { "aria-hidden": "true" });
  return { slider, value };
}

function buildBenchPanel(parent) {
  const element = make("div", "mmcviz-panel", parent, { role: "group" });
  const title = make("p", "mmcviz-title", element);
  const canvas = make("canvas", "mmcviz-canvas", element, { role: "img", tabindex: 0 });
  return { ...openGrid(canvas), element, title };
}

function render({ model, el }) {
  const frame = openFrame(model, el, "bench");
  const { root, controls, body } = frame;
  const grain = buildSlider(controls, "Noise σ");
  const angle = buildSlider(controls, "Rotation");
  const redraw = makeButton(controls, "Draw other noise", () => frame.ask({ do: "redraw" }));
  buildOutcomes(controls, "right", "wrong");
  const panels = make("div", "mmcviz-panels", body);
  const caption = make("p", "mmcviz-caption", body, { "aria-live": "polite" });
  const charts = make("canvas", "mmcviz-canvas mmcviz-charts", body, { role: "img" });
  const chartContext = charts.getContext("2d");
  const axes = openLayer();
  let bench = null;
  let images = null; // as they are drawn
  let views = [];
  let noise = 0;
  let turn = 0;
  let pointed = -1;
  let request = 0;

  function arrange() {
    const { family } = frame.colours;
    const available = frame.width;
    const perRow = Math.max(1, Math.min(bench.models.length, Math.floor(available / NARROWEST)));
    const gap = available > 2 * NARROWEST * perRow ? GAP : GAP / 2;
    panels.style.columnGap = `${gap}px`;
    const width = Math.floor((available - (perRow - 1) * gap) / perRow);
    const ratio = window.devicePixelRatio || 1;
    const key = [width, ratio, perRow, bench.count, bench.height, bench.width, family].join();
    if (views.length !== bench.models.length) {
      panels.replaceChildren();
      views = bench.models.map(() => buildBenchPanel(panels));
      views.forEach(listenToPanel);
    }
    for (const view of views) {
      if (view.key === key) continue;
      view.key = key;
      panels.style.gridTemplateColumns = `repeat(${perRow}, minmax(0, 1fr))`;
      sizeGrid(view, planGrid(bench, width, ratio, view.context, family, { share: SHARE }));
    }
  }

  /** The axes of a chart along one of the two sliders, whose strengths are `values`. */
  function planChart(left, base, width, ratio, values) {
    const [top, height] = [base + 30 * ratio, (CHART - 78) * ratio];
    const [low, high] = [values[0], values.at(-1)];
    const scales = {
      x: (value) => left + (width * (value - low)) / (high - low),
      y: (count) => top + height * (1 - count / bench.count),
    };
    return { left, top, width, height, ratio, values, scales };
  }

  function paintChartAxes(context, plan, xTitle, labelled) {
    const { values } = plan;
    paintAxes(context, {
      ...plan, xTitle, colours: frame.colours,
      xTicks: niceTicks(values[0], values.at(-1), 6).map((value) => [value, String(value).replace("-", "−")]),
      yTicks: [0, 0.5, 1].map((share) => [share * bench.count, labelled ? `${100 * share} %` : ""]),
      yTitle: labelled ? "still right" : "",
    });
  }

  /** How many are right along one of the sliders, the other being where it is. */
  function paintChart({ top, height, ratio, values, scales }, at, rightOf) {
    const { colours } = frame;
    chartContext.strokeStyle = colours.ink;
    chartContext.lineWidth = 1.5 * ratio;
    chartContext.beginPath();
    chartContext.moveTo(scales.x(values[at]), top);
    chartContext.lineTo(scales.x(values[at]), top + height);
    chartContext.stroke();
    bench.models.forEach((one, m) => {
      const colour = colours.classes[HUES[m % HUES.length]];
      chartContext.strokeStyle = chartContext.fillStyle = colour;
      chartContext.lineWidth = 2.6 * ratio;
      chartContext.setLineDash(DASHES[m % DASHES.length].map((length) => length * ratio));
      chartContext.beginPath();
      values.forEach((value, k) => {
        chartContext.lineTo(scales.x(value), scales.y(rightOf(one, k)));
      });
      chartContext.stroke();
      chartContext.setLineDash([]);
      chartContext.beginPath();
      traceMarker(chartContext, 2 * m, scales.x(values[at]), scales.y(rightOf(one, at)), 6 * ratio);
      chartContext.fill();
    });
  }

  function paintCharts() {
    const available = frame.width;
    const beside = available >= CHARTS_BESIDE;
    const ratio = sizeCanvas(charts, available, beside ? CHART : 2 * CHART);
    chartContext.clearRect(0, 0, charts.width, charts.height);
    const [left, gap, right] = [58 * ratio, 40 * ratio, 14 * ratio];
    const width = beside ? (charts.width - left - gap - right) / 2 : charts.width - left - right;
    const second = beside ? [left + width + gap, 0] : [left, CHART * ratio];
    const byNoise = planChart(left, 0, width, ratio, bench.sigmas);
    const byAngle = planChart(...second, width, ratio, bench.degrees);
    axes.renew(charts, [bench.number], frame.colours, (context) => {
      paintChartAxes(context, byNoise, "noise σ, at this angle", true);
      paintChartAxes(context, byAngle, "rotation in degrees, with this noise", !beside);
      nameLines(context, beside ? second[0] : left + 96 * ratio, ratio);
    });
    chartContext.drawImage(axes.canvas, 0, 0);
    paintChart(byNoise, noise, (one, k) => one.right[k][turn]);
    paintChart(byAngle, turn, (one, k) => one.right[noise][k]);
  }

  /** Samples of the lines with their models' names, at the top right. */
  function nameLines(context, left, ratio) {
    const { colours } = frame;
    context.font = `600 ${13 * ratio}px ${colours.family}`;
    context.textBaseline = "middle";
    context.textAlign = "left";
    let x = left;
    bench.models.forEach(({ title }, m) => {
      context.strokeStyle = context.fillStyle = colours.classes[HUES[m % HUES.length]];
      context.lineWidth = 2.6 * ratio;
      context.setLineDash(DASHES[m % DASHES.length].map((length) => length * ratio));
      context.beginPath();
      context.moveTo(x, 13 * ratio);
      context.lineTo(x + 34 * ratio, 13 * ratio);
      context.stroke();
      context.setLineDash([]);
      context.beginPath();
      traceMarker(context, 2 * m, x + 17 * ratio, 13 * ratio, 5 * ratio);
      context.fill();
      context.fillStyle = colours.ink;
      context.fillText(title, x + 42 * ratio, 13 * ratio);
      x += 62 * ratio + context.measureText(title).width;
    });
  }

  frame.onPaint(() => {
    if (!bench) return false;
    arrange();
    disturbImages(bench, noise, turn, images);
    const { labels } = bench;
    bench.models.forEach(({ predictions }, m) => {
      const [view, seen] = [views[m], predictions[noise][turn]];
      fillAtlas(view, bench, images, (n) => n * bench.pixels);
      paintGrid(view, bench, {
        wrong: (n) => seen[n] !== labels[n],
        label: (n) => view.plan[seen[n] === labels[n] ? "rightLabels" : "wrongLabels"][seen[n]],
        pointed,
        colours: frame.colours,
      });
    });
    paintCharts();
    describe();
    return true;
  });

  function describe() {
    const sentence = writeBench(bench, noise, turn);
    frame.say(sentence);
    const sigma = String(bench.sigmas[noise]);
    const degrees = writeAngle(bench.degrees[turn]);
    grain.slider.value = noise;
    grain.value.textContent = sigma;
    grain.slider.setAttribute("aria-valuetext", `σ = ${sigma}`);
    angle.slider.value = turn;
    angle.value.textContent = degrees;
    angle.slider.setAttribute("aria-valuetext", degrees);
    bench.models.forEach(({ title, right }, m) => {
      const here = right[noise][turn];
      const words = `${title}: ${here} of ${bench.count} right`;
      views[m].title.textContent = words;
      views[m].element.setAttribute("aria-label", title);
      views[m].canvas.setAttribute("aria-label",
        `Grid of ${bench.count} images with noise σ = ${sigma}, turned by ${degrees}. ${words}.`);
    });
    charts.setAttribute("aria-label", `Images still right against noise and against rotation. ${sentence}`);
    caption.textContent = pointed < 0 ? HINT : writePointed();
    caption.classList.toggle("mmcviz-hint", pointed < 0);
    Object.assign(root.dataset, { noise, turn });
  }

  function writePointed() {
    const seen = bench.models.map(({ title, predictions }) =>
      `${title} sees ${bench.names[predictions[noise][turn][pointed]]}`);
    return `True class: ${bench.names[bench.labels[pointed]]}. ${seen.join("; ")}.`;
  }

  function listNumbers() {
    return {
      head: ["noise σ", "rotation", ...bench.models.map(({ title }) => `${title} right, of ${bench.count}`)],
      rows: bench.sigmas.flatMap((sigma, s) => bench.degrees.map((degrees, d) => [
        String(sigma), writeAngle(degrees), ...bench.models.map(({ right }) => String(right[s][d])),
      ])),
    };
  }

  async function load() {
    const number = ++request;
    const bytes = asBytes(model.get("bench"));
    if (!bytes.length) return;
    let unpacked = null;
    try {
      unpacked = await unpackBench(bytes);
    } catch (error) {
      if (number === request) frame.fail(`These results cannot be shown (${error.message}). Run the cell again.`);
      return;
    }
    if (number !== request) return; // newer ones are on their way
    frame.fail("");
    bench = { ...unpacked, number };
    images = new Uint8Array(bench.count * bench.pixels);
    grain.slider.max = bench.sigmas.length - 1;
    angle.slider.max = bench.degrees.length - 1;
    if (pointed >= bench.count) pointed = -1;
    take();
    frame.paint();
    frame.table(listNumbers);
  }

  /** Take the strengths from the model, as far as they are there. */
  function take() {
    const within = (name, values) => Math.min(Math.max(model.get(name) ?? 0, 0), values.length - 1);
    const [s, d] = [within("noise", bench.sigmas), within("turn", bench.degrees)];
    if (s === noise && d === turn) return false;
    [noise, turn] = [s, d];
    return true;
  }
  for (const trait of ["noise", "turn"]) {
    frame.listen(`change:${trait}`, () => { if (bench && take()) frame.paint(); });
  }
  frame.listen("change:bench", load);
  const follow = () => { redraw.disabled = Boolean(model.get("busy")); };
  frame.listen("change:busy", follow);
  follow();

  function move() {
    if (!bench) return;
    const since = frame.since();
    [noise, turn] = [Number(grain.slider.value), Number(angle.slider.value)];
    frame.paint(since);
    frame.tell({ noise, turn });
  }
  for (const { slider } of [grain, angle]) slider.addEventListener("input", move);

  function point(n) {
    if (n === pointed) return;
    pointed = n;
    frame.paint();
  }

  const listenToPanel = (view) =>
    listenToGrid(view, { point, pointed: () => pointed, count: () => bench.count });

  frame.onDispose(() => { request++; });
  load();
  return frame.dispose;
}

export default { render };
