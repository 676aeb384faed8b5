// The live trainer: models that learn side by side, their feature maps and curves, and their past.
//
// Python sends all moments so far whenever there is a new one (mmc_viz/duels packs them). What is
// shown of them is decided here, so the slider answers with or without a kernel. A new moment moves
// the points there in a third of a second, unless the reader wants nothing to move by itself.

import { asBytes, floats } from "./bytes.js";
import { drawImage8, openLayer, sizeCanvas } from "./canvas.js";
import { fillSelect, make, makeButton, makeField, mayAnimate, openFrame } from "./page.js";
import { paintChart, paintSample } from "./training_charts.js";
import { between, boundsOf, nearestPoint, paintMap, unpackMaps } from "./training_maps.js";

const GLIDE = 350; // milliseconds
const RATES = ["0.1", "0.3", "1", "3", "10"];
const DIMENSIONS = ["2", "3", "9", "64"];
const HINT = "Point at a map, or go to it with Tab and use the arrow keys, to see an image.";
const OFFLINE = "Training needs a kernel: open the notebook in JupyterLab. "
  + "Here the slider goes through what was trained when this page was made.";

/** The measures that are drawn: `range` of a linear axis, none for a logarithmic one. */
const MEASURES = [
  { name: "accuracy", title: "Right, % of test images", range: [0, 100], scale: 100 },
  { name: "loss", title: "Loss on test images, own units" },
  { name: "nc1_ratio", title: "Scatter within / between classes" },
  { name: "distance_to_best", title: "Class means to ", range: [0, 1] },
];

// ---- words, the same as in widgets/live_trainer.py -------------------------------------------------

function writeLoss(value) {
  if (value === null) return "?";
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

function writeEpoch(taken, each) {
  const rest = taken % each;
  const whole = Math.floor(taken / each);
  return rest ? `${whole} + ${rest}/${each}` : String(whole);
}

function writePlace(plan) {
  if (plan.dim === 2) return "regular polygon";
  return plan.dim >= plan.names.length - 1 ? "regular simplex" : "best places";
}

// ---- the page ------------------------------------------------------------------------------------

function buildSettings(frame, model) {
  const box = make("details", "mmcviz-setup", frame.controls);
  make("summary", "", box).textContent = "Settings";
  const row = make("div", "mmcviz-controls", box);
  const heads = [0, 1].map((i) => makeField(row, i ? "against" : "train", "select"));
  const dim = makeField(row, "dimensions", "select");
  const rate = makeField(row, "learning rate ×", "select");
  const number = (label, attributes) => makeField(row, label, "input", { type: "number", ...attributes });
  const radius = number("radius", { min: 0.1, max: 1000, step: "any" });
  const epochs = number("epochs", { min: 1, max: 200, step: 1 });
  const seed = number("seed", { min: 0, step: 1 });
  const button = makeButton(row, "Set up anew", () => {
    frame.ask({
      do: "setup",
      heads: heads.map(({ value }) => value),
      dim: Number(dim.value),
      learning_rate: Number(rate.value),
      radius: radius.valueAsNumber,
      epochs: epochs.valueAsNumber,
      seed: seed.valueAsNumber,
    });
  });
  button.disabled = frame.offline;
  return (plan) => {
    const withOwn = (list, own) => (list.includes(own) ? list : [...list, own]);
    heads.forEach((select, i) => fillSelect(select, model.get("choices"), plan.heads[i] ?? plan.heads[0]));
    fillSelect(dim, withOwn(DIMENSIONS, String(plan.dim)), String(plan.dim));
    fillSelect(rate, withOwn(RATES, String(plan.learning_rate)), String(plan.learning_rate));
    dim.value = String(plan.dim);
    rate.value = String(plan.learning_rate);
    radius.value = plan.radius;
    epochs.value = plan.epochs;
    seed.value = plan.seed;
  };
}

function buildButtons(frame) {
  const row = make("div", "mmcviz-buttons", frame.controls, { role: "group", "aria-label": "Training" });
  const button = (label, action, title) =>
    makeButton(row, label, () => frame.ask({ do: action }), { title });
  const start = makeButton(row, "Start", () => {
    frame.ask({ do: frame.root.dataset.busy === "true" ? "stop" : "start" });
  });
  start.classList.add("mmcviz-primary");
  const step = button("One batch", "step", "Each model learns from the next batch");
  const epoch = button("One epoch", "epoch", "Train to the end of this epoch");
  const rewind = button("Rewind", "rewind", "Back to the same first weights");
  return { start, step, epoch, rewind };
}

function buildHistory(frame) {
  const field = make("label", "mmcviz-history", frame.controls);
  make("span", "mmcviz-name", field).textContent = "Look back";
  const slider = make("input", "mmcviz-slider", field, { type: "range", min: 0, max: 0, step: 1, value: 0 });
  const readout = make("span", "mmcviz-epoch", field, { "aria-hidden": "true" });
  return { slider, readout };
}

function buildSide(parent, title) {
  const element = make("div", "mmcviz-side", parent, { role: "group", "aria-label": title });
  const head = make("p", "mmcviz-sidetitle", element);
  const sample = make("canvas", "mmcviz-sample", head, { "aria-hidden": "true" });
  make("span", "mmcviz-name", head).textContent = title;
  const says = make("span", "mmcviz-says", head);
  const canvas = make("canvas", "mmcviz-canvas mmcviz-map", element, { role: "img", tabindex: 0 });
  return { element, sample, says, canvas, plane: null };
}

function buildChart(parent) {
  const element = make("div", "mmcviz-chart", parent);
  const title = make("p", "mmcviz-charttitle", element);
  const canvas = make("canvas", "mmcviz-canvas", element, { role: "img" });
  return { element, title, canvas, layer: openLayer() };
}

function render({ model, el }) {
  const frame = openFrame(model, el, "trainer");
  const { root } = frame;
  const buttons = buildButtons(frame);
  const fillSettings = buildSettings(frame, model);
  const { slider, readout } = buildHistory(frame);
  if (frame.offline) {
    for (const button of Object.values(buttons)) button.disabled = true;
    make("p", "mmcviz-offline", frame.controls).textContent = OFFLINE;
  }
  const maps = make("div", "mmcviz-maps", frame.body);
  const caption = make("div", "mmcviz-caption", frame.body);
  const picture = make("canvas", "mmcviz-picture", caption, { "aria-hidden": "true" });
  const said = make("p", "", caption, { "aria-live": "polite" });
  const chartRow = make("div", "mmcviz-charts", frame.body);
  const charts = MEASURES.map(() => buildChart(chartRow));
  const stamp = make("p", "mmcviz-stamp", frame.root);
  frame.root.insertBefore(stamp, frame.foot);

  let plan = null;
  let labels = new Uint8Array(0);
  let pictures = new Uint8Array(0);
  let numbers = [];
  let frames = [];
  let news = 0; // how often numbers came
  let sides = [];
  let drawn = []; // the maps on screen, of each side
  let pointed = -1;
  let gliding = 0;
  let widths = { of: 0 };

  /** Index of the moment that is shown. */
  const shown = () => {
    const wanted = model.get("epoch") ?? -1;
    return wanted < 0 || wanted >= frames.length ? frames.length - 1 : wanted;
  };
  const epochOf = (moment) => moment.taken / plan.steps_per_epoch;

  // -- from state to screen

  function arrange() {
    const same = sides.length === plan.titles.length
      && sides.every((side, i) => side.element.ariaLabel === plan.titles[i]);
    if (!same) {
      maps.replaceChildren();
      sides = plan.titles.map((title) => buildSide(maps, title));
      sides.forEach(listenToMap);
      pointed = -1;
    } else if (widths.of === frame.width) return;
    // The style sheet gives all maps one width, and all charts.
    const [side, chart] = [sides[0], charts[0]].map(({ element }) => element.clientWidth);
    widths = { of: frame.width, side, chart };
  }

  function paintMaps() {
    const { colours } = frame;
    const last = frames.at(-1);
    sides.forEach((side, i) => {
      // Not smaller than the newest map: what grew is seen to have been small.
      const bounds = boundsOf([drawn[i], last[i]]);
      const width = widths.side;
      const height = Math.round(Math.min(Math.max(0.8 * width, 240), 460));
      side.plane = paintMap(side.canvas, drawn[i], {
        width, height, bounds, names: plan.names, labels, pointed, exact: plan.dim === 2, colours,
      });
      paintSample(side.sample, i, colours);
    });
  }

  function paintCharts() {
    const epochs = numbers.map(epochOf);
    MEASURES.forEach((measure, m) => {
      const scale = measure.scale ?? 1;
      const lines = plan.titles.map((_, i) => numbers.map(({ sides: all }) => {
        const value = all[i][measure.name];
        return value === null ? null : scale * value;
      }));
      const chart = charts[m];
      chart.title.textContent = measure.title + (measure.name === "distance_to_best" ? writePlace(plan) : "");
      paintChart(chart.canvas, chart.layer, [news], {
        width: widths.chart,
        height: 170,
        epochs,
        lines,
        last: plan.epochs,
        shown: epochs[shown()],
        range: measure.range ?? null,
        write: String,
        colours: frame.colours,
      });
      const now = numbers[shown()].sides.map((side, i) => `${plan.titles[i]} ${writeMeasure(measure, side)}`);
      chart.canvas.setAttribute("aria-label", `${chart.title.textContent}. ${now.join(", ")}.`);
    });
  }

  function writeMeasure(measure, side) {
    const value = side[measure.name];
    if (value === null) return "not known";
    return measure.scale ? (100 * value).toFixed(1) : writeLoss(value);
  }

  frame.onPaint(() => {
    if (!plan || !frames.length) return false;
    arrange();
    if (!gliding) drawn = frames[shown()];
    paintMaps();
    paintCharts();
    describe();
    return true;
  });

  function describe() {
    const k = shown();
    const moment = numbers[k];
    const epoch = writeEpoch(moment.taken, plan.steps_per_epoch);
    slider.max = frames.length - 1;
    slider.value = k;
    const text = `epoch ${epoch} of ${plan.epochs}`;
    slider.setAttribute("aria-valuetext", text);
    readout.textContent = text;
    const words = moment.sides.map((side, i) =>
      `${plan.titles[i]} ${(100 * side.accuracy).toFixed(1)} % right, loss ${writeLoss(side.loss)}`);
    frame.say(`Epoch ${epoch} of ${plan.epochs}: ${words.join("; ")}.`);
    sides.forEach((side, i) => {
      side.says.textContent = `${(100 * moment.sides[i].accuracy).toFixed(1)} % right`;
      side.canvas.setAttribute("aria-label",
        `Map of the features of ${labels.length} test images. Epoch ${epoch}: ${words[i]}.`);
    });
    stamp.textContent = `Weights ${model.get("stamp")} after ${model.get("taken")} batches. `
      + "The same settings and batches give the same eight digits.";
    root.dataset.frames = frames.length;
    root.dataset.epoch = epoch;
    root.dataset.taken = model.get("taken");
    root.dataset.stamp = model.get("stamp");
    showPointed();
  }

  function showPointed() {
    const ratio = sizeCanvas(picture, 56, 56);
    const context = picture.getContext("2d");
    context.clearRect(0, 0, picture.width, picture.height);
    said.classList.toggle("mmcviz-hint", pointed < 0);
    picture.classList.toggle("mmcviz-empty", pointed < 0);
    if (pointed < 0) {
      said.textContent = `${HINT} A cross marks a wrong prediction`
        + (plan.dim === 2 ? "; the tint says which class wins where." : "; the plane is that of largest spread.");
      return;
    }
    const [channels, height, width] = plan.shape;
    drawImage8(context, pictures, pointed * channels * height * width, { channels, height, width },
      0, 0, 56 * ratio, 56 * ratio);
    const sees = sides.map((_, i) => `${plan.titles[i]} sees ${plan.names[frames[shown()][i].predictions[pointed]]}`);
    said.textContent = `Test image ${pointed}, a ${plan.names[labels[pointed]]}: ${sees.join(", ")}.`;
  }

  function listNumbers() {
    const head = ["epoch"];
    for (const title of plan.titles) {
      head.push(`${title}: % right`, "loss", "training loss", "within / between", "means to " + writePlace(plan), "farthest feature");
    }
    const write = (value) => (value === null ? "–" : writeLoss(value));
    const rows = numbers.map(({ taken, sides: all }) => [
      writeEpoch(taken, plan.steps_per_epoch),
      ...all.flatMap((side) => [
        (100 * side.accuracy).toFixed(1), write(side.loss), write(side.train_loss),
        write(side.nc1_ratio), write(side.distance_to_best), write(side.reach),
      ]),
    ]);
    return { head, rows };
  }

  // -- movement

  /** Let the points go to the newest moment; where nothing may move by itself, jump. */
  function glide(from) {
    cancelAnimationFrame(gliding);
    gliding = 0;
    const same = from.length === frames.at(-1).length && from[0]?.points.length === 2 * labels.length;
    if (!same || !mayAnimate() || document.hidden || root.dataset.ready !== "true") {
      frame.paint();
      return;
    }
    const start = performance.now();
    const goal = frames[shown()];
    const tick = (now) => {
      const share = Math.min((now - start) / GLIDE, 1);
      drawn = goal.map((map, i) => between(from[i], map, share));
      gliding = share < 1 ? requestAnimationFrame(tick) : 0;
      if (sides.length && frame.width) paintMaps();
    };
    gliding = 1;
    frame.paint();
    gliding = requestAnimationFrame(tick);
  }
  frame.onDispose(() => cancelAnimationFrame(gliding));

  // -- from the model

  let arrived = null; // the bytes that were decoded last

  function load() {
    const bytes = model.get("maps");
    const moments = model.get("numbers") ?? [];
    const nextPlan = model.get("plan");
    if (!nextPlan?.titles || !moments.length) return;
    if (bytes === arrived && moments === numbers && nextPlan === plan) return;
    const from = plan && drawn.length ? drawn : [];
    if (nextPlan !== plan) {
      plan = nextPlan;
      labels = asBytes(model.get("labels"));
      pictures = asBytes(model.get("pictures"));
      fillSettings(plan);
    }
    const values = floats(bytes);
    const each = plan.titles.length * (3 * labels.length + 8 * plan.names.length);
    if (values.length !== moments.length * each) return; // the other half of the message is to come
    arrived = bytes;
    numbers = moments;
    news++;
    frames = unpackMaps(values, moments.length, plan.titles.length, labels.length, plan.names.length);
    if ((model.get("epoch") ?? -1) < 0) glide(from);
    else frame.paint();
    frame.table(listNumbers);
  }
  for (const trait of ["maps", "numbers", "plan", "labels", "pictures"]) frame.listen(`change:${trait}`, load);
  frame.listen("change:epoch", () => frame.paint());
  frame.listen("change:stamp", () => frame.paint());

  function showBusy() {
    const busy = Boolean(model.get("busy"));
    buttons.start.textContent = busy ? "Pause" : "Start";
    if (frame.offline) return;
    for (const button of [buttons.step, buttons.epoch]) button.disabled = busy;
  }
  frame.listen("change:busy", showBusy);
  showBusy();

  // -- from the reader

  slider.addEventListener("input", () => {
    if (!frames.length) return;
    cancelAnimationFrame(gliding);
    gliding = 0;
    const since = frame.since();
    const k = Number(slider.value);
    frame.choose({ epoch: k === frames.length - 1 ? -1 : k }, since);
  });

  function point(n) {
    if (n === pointed) return;
    pointed = n;
    paintMaps();
    showPointed();
  }

  function listenToMap(side, i) {
    const { canvas } = side;
    canvas.addEventListener("pointermove", (event) => {
      const ratio = window.devicePixelRatio || 1;
      if (side.plane) point(nearestPoint(drawn[i], side.plane, event.offsetX * ratio, event.offsetY * ratio, 12 * ratio));
    });
    canvas.addEventListener("pointerleave", () => point(-1));
    canvas.addEventListener("blur", () => point(-1));
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) point(Math.max(pointed, 0)); });
    canvas.addEventListener("keydown", (event) => {
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!move) return;
      event.preventDefault();
      point((Math.max(pointed, 0) + move + labels.length) % labels.length);
    });
  }

  load();
  return frame.dispose;
}

export default { render };
