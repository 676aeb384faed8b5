// One attack under the microscope: a climb on one image, step by step, forwards and back.
//
// All climbs come at once (mmc_viz/microscope/packing.py describes the bytes). A step is looked up
// and drawn here: the place on the hill, the pictures, the curves, and the sentence that says them.

import { asBytes } from "./bytes.js";
import { openLayer, sizeCanvas } from "./canvas.js";
import { paintCurves, paintCursor, stepAt } from "./climb_curves.js";
import { paintClimb, paintHill, placeHill } from "./hill.js";
import { fillSelect, make, makeButton, makeField, mayAnimate, openFrame } from "./page.js";
import { paintPictures, writeSlope } from "./signed_images.js";
import { unpackSlides, writeClimb, writeName, writeReached, writeStep } from "./slides.js";

const SIDE_BY_SIDE = 860; // width in CSS pixels from which the hill stands beside the rest
const GLIDE = 160; // milliseconds of a step on the screen
const PACE = 550; // between two steps that play

function buildMicroscope({ root, controls, body }) {
  const subject = makeField(controls, "Model", "select");
  const objective = makeField(controls, "climbs", "select");
  const restart = makeField(controls, "from", "select");
  const walk = make("div", "mmcviz-walk", controls);
  const slider = make("input", "mmcviz-slider", walk, {
    type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Step",
  });
  const buttons = make("div", "mmcviz-buttons", walk, { role: "group", "aria-label": "Steps" });

  const left = make("div", "mmcviz-hillside", body);
  const hill = make("canvas", "mmcviz-canvas mmcviz-hill", left, { role: "img", tabindex: 0 });
  const right = make("div", "mmcviz-readings", body);
  const legend = make("ul", "mmcviz-legend", body, { "aria-label": "Legend" });
  for (const [kind, words] of [
    ["point", "where the attack is"], ["arrow", "the next step, and its projection Π (dashed)"],
    ["budget", "the budget ε, cut by this plane"], ["boundary", "beyond it the model errs"],
    ["height", ""], ["flat", "no slope at all"],
  ]) {
    const item = make("li", `mmcviz-key mmcviz-key-${kind}`, legend);
    make("span", "mmcviz-sign", item, { "aria-hidden": "true" });
    make("span", "", item).textContent = words;
  }
  const height = legend.querySelector(".mmcviz-key-height > :last-child");
  const pictures = make("canvas", "mmcviz-canvas mmcviz-pictures", right, { role: "img" });
  const curves = make("canvas", "mmcviz-canvas mmcviz-curves", right, { role: "img" });
  const note = make("p", "mmcviz-note");
  root.querySelector(".mmcviz-say").after(note);
  return { subject, objective, restart, slider, buttons, left, hill, legend, height, right, pictures, curves, note };
}

/** The row with which a reader attacks the image again. */
function buildAgain(frame, model) {
  const row = make("div", "mmcviz-controls mmcviz-again", frame.root);
  frame.root.querySelector(".mmcviz-note").after(row);
  make("span", "mmcviz-name", row).textContent = "Attack it again:";
  const number = (label, attributes) => makeField(row, label, "input", { type: "number", ...attributes });
  const inputs = {
    image: number("image", { min: 0, step: 1 }),
    eps: number("ε", { min: 0, max: 1, step: 0.01 }),
    steps: number("steps", { min: 1, max: 100, step: 1 }),
    step_size: number("step α", { min: 0, max: 1, step: 0.001, title: "0: 2.5 ε / steps" }),
    restarts: number("starts", { min: 1, max: 10, step: 1 }),
  };
  const momentum = makeField(row, "momentum", "input", { type: "checkbox" });
  const button = makeButton(row, "Attack again", () => {
    const asked = Object.entries(inputs).map(([name, input]) => [name, input.valueAsNumber]);
    frame.ask({ do: "attack", ...Object.fromEntries(asked), momentum: momentum.checked });
  });
  button.classList.add("mmcviz-primary");
  make("span", "mmcviz-hint", row).textContent = "α = 0 means 2.5 ε / steps; momentum starts at the image.";
  const fill = () => {
    const form = model.get("form") ?? {};
    for (const [name, input] of Object.entries(inputs)) input.value = form[name] ?? 0;
    momentum.checked = Boolean(form.momentum);
  };
  const follow = () => { button.disabled = Boolean(model.get("busy")); };
  momentum.addEventListener("change", () => { inputs.restarts.disabled = momentum.checked; });
  frame.listen("change:form", fill);
  frame.listen("change:busy", follow);
  fill();
  follow();
}

function render({ model, el }) {
  const frame = openFrame(model, el, "microscope");
  const { root } = frame;
  const page = buildMicroscope(frame);
  const { subject, objective, restart, slider } = page;
  buildAgain(frame, model);
  const contexts = {
    hill: page.hill.getContext("2d"),
    pictures: page.pictures.getContext("2d"),
    curves: page.curves.getContext("2d"),
  };
  // What stays from step to step is drawn once.
  const [ground, chart] = [openLayer(), openLayer()];
  let range = null; // of the ground's heights
  let header = null;
  let slide = null;
  let step = 0;
  let at = 0; // where the point is on its way to `step`
  let plots = [];
  let request = 0;
  let gliding = 0;
  let playing = 0;

  // -- from state to screen

  const others = () => header.slides.filter((one) => one !== slide && one.model === slide.model
    && one.objective === slide.objective);

  function arrange() {
    const available = frame.width;
    const beside = available >= SIDE_BY_SIDE;
    frame.body.classList.toggle("mmcviz-beside", beside);
    const side = beside ? Math.min(0.42 * available, 520) : Math.min(available, 560);
    const ratio = sizeCanvas(page.hill, side, side + 4);
    page.left.style.width = `${side}px`;
    const room = beside ? available - side - 28 : available;
    const columns = room >= 460 ? 4 : 2;
    const size = Math.floor(Math.min(room / columns - 14, 190));
    sizeCanvas(page.pictures, room, (size + 52) * (4 / columns));
    sizeCanvas(page.curves, room, beside ? Math.max(side - size - 20, 260) : 320);
    return { ratio, columns, size: size * ratio };
  }

  const keyNow = () => [header.number, header.slides.indexOf(slide)];

  function paintChart(ratio) {
    const { colours } = frame;
    chart.renew(page.curves, keyNow(), colours, (context) => {
      plots = paintCurves(context, page.curves, header, slide, others(), { colours, ratio });
    });
    contexts.curves.clearRect(0, 0, page.curves.width, page.curves.height);
    contexts.curves.drawImage(chart.canvas, 0, 0);
    const wrong = slide.predicted[step] !== header.label;
    paintCursor(contexts.curves, plots, slide, { step, wrong, colours, ratio });
  }

  function paintGround(ratio) {
    const margin = 34 * ratio; // for the names of the axes
    const size = page.hill.width - margin;
    const place = placeHill(slide, margin, 0, size);
    ground.renew(page.hill, keyNow(), frame.colours, (context) => {
      range = paintHill(context, slide, place, { colours: frame.colours, ratio });
      nameAxes(context, place, ratio);
    });
    return place;
  }

  function nameAxes(context, place, ratio) {
    context.fillStyle = frame.colours.ink;
    context.textAlign = "center";
    context.textBaseline = "top";
    const font = `${13 * ratio}px ${frame.colours.family}`;
    const ticks = [[-header.eps, "−ε"], [0, "0"], [header.eps, "ε"]];
    const [across, up] = slide.towards;
    context.font = font;
    for (const [value, word] of ticks) {
      context.fillText(word, place.x(value), place.top + place.size + 4 * ratio);
    }
    context.font = `600 ${font}`;
    context.fillText(`towards ${across} →`, place.left + place.size / 2, place.top + place.size + 19 * ratio);
    context.save();
    context.rotate(-Math.PI / 2);
    context.font = font;
    context.textBaseline = "bottom";
    for (const [value, word] of ticks) {
      context.fillText(word, -place.y(value), place.left - 3 * ratio);
    }
    context.font = `600 ${font}`;
    context.fillText(`towards ${up} →`, -(place.top + place.size / 2), place.left - 17 * ratio);
    context.restore();
  }

  function paintHillside(ratio) {
    const place = paintGround(ratio);
    const context = contexts.hill;
    context.clearRect(0, 0, page.hill.width, page.hill.height);
    context.drawImage(ground.canvas, 0, 0);
    const wrong = slide.predicted[step] !== header.label;
    paintClimb(context, slide, place, {
      step, at, wrong, label: `step ${step}: ${header.class_names[slide.predicted[step]]}`,
      colours: frame.colours, ratio,
    });
  }

  frame.onPaint(() => {
    if (!slide) return false;
    const { ratio, columns, size } = arrange();
    const { colours } = frame;
    paintHillside(ratio);
    paintPictures(contexts.pictures, page.pictures, header, slide, { step, columns, size, colours, ratio });
    paintChart(ratio);
    describe();
    return true;
  });

  /** Bring all words in line with what is drawn. */
  function describe() {
    const sentence = writeClimb(header, slide, step);
    frame.say(sentence);
    page.note.textContent = writeStep(header, slide, step);
    slider.value = step;
    slider.setAttribute("aria-valuetext", sentence);
    page.hill.setAttribute("aria-label",
      `The hill of ${writeName(slide.objective)} and the climb on it. ${sentence} Arrow keys step.`);
    page.pictures.setAttribute("aria-label",
      `The image now, its change, the gradient and its sign. ${page.note.textContent}`);
    page.curves.setAttribute("aria-label", `What is reached at each step. ${sentence}`);
    const { low, high } = range;
    page.height.textContent = `${writeName(slide.objective)}, ${writeReached(low)} to ${writeReached(high)}`;
    page.legend.querySelector(".mmcviz-key-flat").hidden = slide.objective !== "cross_entropy";
    back.disabled = first.disabled = step === 0;
    forward.disabled = last.disabled = step === header.steps;
    Object.assign(root.dataset, {
      step, subject: slide.model, objective: slide.objective, restart: slide.restart,
    });
  }

  function listNumbers() {
    return {
      head: ["step", writeName(slide.objective), "margin", `${slide.model} says`, "largest slope",
        "taken back by Π", "off the plane"],
      rows: slide.reached.map((value, k) => [
        String(k), writeReached(value), writeReached(slide.margins[k]),
        header.class_names[slide.predicted[k]], writeSlope(slide.slopes[k]),
        `${Math.round(100 * slide.cut[k])} %`, slide.heights[k].toFixed(2),
      ]),
    };
  }

  // -- from the model

  async function load() {
    const number = ++request;
    const bytes = asBytes(model.get("slides"));
    if (!bytes.length) {
      if (!model.get("locked")) frame.say("Nothing has been attacked yet.");
      return;
    }
    let unpacked = null;
    try {
      unpacked = await unpackSlides(bytes);
    } catch (error) {
      if (number === request) frame.fail(`These results cannot be shown (${error.message}). Run the cell again.`);
      return;
    }
    if (number !== request) return; // newer ones are on their way
    frame.fail("");
    header = unpacked;
    header.number = number;
    for (const one of header.slides) one.summed = Boolean(model.get("form")?.momentum);
    slide = null;
    fillSelect(subject, [...new Set(header.slides.map((one) => one.model))]);
    const names = [...new Set(header.slides.map((one) => one.objective))];
    fillSelect(objective, names);
    for (const option of objective.options) option.textContent = writeName(option.value);
    const starts = Array.from({ length: header.starts }, (_, k) => String(k));
    fillSelect(restart, starts);
    for (const option of restart.options) option.textContent = `start ${Number(option.value) + 1}`;
    slider.max = header.steps;
    show();
  }

  /** Take what is to be shown from the model, as far as it is there. */
  function show() {
    if (!header) return;
    const near = (one) => 4 * (one.model === model.get("subject"))
      + 2 * (one.objective === model.get("objective")) + (one.restart === model.get("restart"));
    const next = header.slides.reduce((best, one) => (near(one) > near(best) ? one : best));
    const nextStep = Math.min(Math.max(model.get("step") ?? 0, 0), header.steps);
    if (next === slide && nextStep === step) return;
    turnTo(next, nextStep);
  }

  function turnTo(next, nextStep, since) {
    const other = next !== slide;
    slide = next;
    step = nextStep;
    settle();
    subject.value = slide.model;
    objective.value = slide.objective;
    restart.value = String(slide.restart);
    frame.paint(since);
    if (other) frame.table(listNumbers);
  }

  for (const trait of ["subject", "objective", "restart", "step"]) frame.listen(`change:${trait}`, show);
  frame.listen("change:slides", load);

  // -- from the reader

  function settle() {
    cancelAnimationFrame(gliding);
    at = step;
  }

  /** Go to a step; the point glides there if it is the next one. */
  function go(nextStep, since, glide = false) {
    const wanted = Math.min(Math.max(nextStep, 0), header.steps);
    if (!slide || wanted === step) return;
    const from = step;
    step = wanted;
    settle();
    if (glide && mayAnimate()) {
      const start = performance.now();
      at = from;
      const move = (now) => {
        const t = Math.min(Math.max((now - start) / GLIDE, 0), 1);
        at = t < 1 ? from + t * (step - from) : step;
        if (slide && root.isConnected) paintHillside(window.devicePixelRatio || 1);
        if (t < 1) gliding = requestAnimationFrame(move);
      };
      gliding = requestAnimationFrame(move);
    }
    frame.paint(since);
    frame.tell({ step });
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    play.textContent = "Play";
  }

  function start() {
    if (!slide) return;
    if (!mayAnimate()) {
      go(header.steps);
      return;
    }
    if (step === header.steps) go(0);
    play.textContent = "Pause";
    playing = setInterval(() => {
      go(step + 1, performance.now(), true);
      if (step === header.steps || !root.isConnected) stop();
    }, PACE);
  }

  const button = (label, name, action) =>
    makeButton(page.buttons, label, () => { if (header) action(); }, { "data-do": name });
  const first = button("First", "first", () => { stop(); go(0, frame.since()); });
  const back = button("Back", "back", () => { stop(); go(step - 1, frame.since(), true); });
  const play = button("Play", "play", () => { if (playing) stop(); else start(); });
  const forward = button("Forward", "forward", () => { stop(); go(step + 1, frame.since(), true); });
  const last = button("Last", "last", () => { stop(); go(header.steps, frame.since()); });

  slider.addEventListener("input", () => {
    stop();
    if (header) go(Number(slider.value), frame.since());
  });

  function choose() {
    const since = frame.since();
    const wanted = header?.slides.find((one) => one.model === subject.value
      && one.objective === objective.value && String(one.restart) === restart.value);
    if (!wanted) return;
    stop();
    turnTo(wanted, step, since);
    frame.tell({ subject: slide.model, objective: slide.objective, restart: slide.restart });
  }
  for (const select of [subject, objective, restart]) select.addEventListener("change", choose);

  page.hill.addEventListener("keydown", (event) => {
    const moves = {
      ArrowRight: step + 1, ArrowUp: step + 1, ArrowLeft: step - 1, ArrowDown: step - 1,
      Home: 0, End: header?.steps ?? 0,
    };
    if (!(event.key in moves) || !header) return;
    event.preventDefault();
    stop();
    go(moves[event.key], frame.since(), true);
  });
  const toStep = (event) => {
    if (!event.buttons && event.type !== "click") return;
    const ratio = window.devicePixelRatio || 1;
    const wanted = header ? stepAt(plots, event.offsetX * ratio, header.steps) : -1;
    if (wanted < 0) return;
    stop();
    go(wanted, performance.now());
  };
  page.curves.addEventListener("click", toStep);
  page.curves.addEventListener("pointermove", toStep);

  frame.onDispose(() => { stop(); cancelAnimationFrame(gliding); request++; });
  load();
  return frame.dispose;
}

export default { render };
