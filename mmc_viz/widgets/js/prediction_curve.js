// Draw a guess of accuracy against epsilon; after the commitment the true curves join it.

import { make, makeButton, mayAnimate, openFrame } from "./page.js";
import { niceTicks, paintAxes, sizeCanvas, traceMarker } from "./canvas.js";
import { commitGuesses, curveError, isAnswered, makeCommit, writeCurveVerdict, writeNumber, writeTenth } from "./guesses.js";

const MARKERS = [0, 2, 1, 3]; // circle, square, diamond, triangle
const DASHES = [[], [9, 6], [2, 4], [12, 4, 2, 4]];
const WIDEST = 900; // CSS pixels
const REVEAL = 900; // milliseconds in which the true curves come
const STEPS = { ArrowUp: 5, ArrowDown: -5, PageUp: 20, PageDown: -20 };
const HINT = "Drag the curve, or go to it with Tab: ← → choose ε, ↑ ↓ move the guess.";

const clampPercent = (value) => Math.min(Math.max(Math.round(value), 0), 100);

/** Where everything stands, in device pixels. */
function planPlot(canvas, epsilons, available) {
  const width = Math.min(available, WIDEST);
  const ratio = sizeCanvas(canvas, width, width < 520 ? 300 : 390);
  const box = {
    left: 52 * ratio, top: 36 * ratio, width: canvas.width - 74 * ratio,
    height: canvas.height - 88 * ratio,
  };
  const last = epsilons.at(-1) || 1;
  return {
    ...box,
    ratio,
    x: (epsilon) => box.left + (box.width * epsilon) / last,
    y: (percent) => box.top + box.height * (1 - percent / 100),
    percentAt: (y) => clampPercent(100 * (1 - (y - box.top) / box.height)),
    nearest: (x) => {
      const epsilon = ((x - box.left) / box.width) * last;
      const far = epsilons.map((one) => Math.abs(one - epsilon));
      return far.indexOf(Math.min(...far));
    },
  };
}

/** Ticks at the budgets themselves, as many as have room for their labels. */
function epsilonTicks(plan, epsilons) {
  let free = -Infinity;
  return epsilons.map((epsilon) => {
    const x = plan.x(epsilon);
    if (x < free) return [epsilon, ""];
    free = x + 40 * plan.ratio;
    return [epsilon, writeNumber(epsilon)];
  });
}

function traceCurve(context, plan, epsilons, values) {
  context.beginPath();
  values.forEach((value, k) => context.lineTo(plan.x(epsilons[k]), plan.y(value)));
}

function strokeCurve(context, plan, epsilons, values, { colour, dash, wide }) {
  context.strokeStyle = colour;
  context.lineWidth = wide * plan.ratio;
  context.setLineDash(dash.map((length) => length * plan.ratio));
  traceCurve(context, plan, epsilons, values);
  context.stroke();
  context.setLineDash([]);
}

function paintMarkers(context, plan, epsilons, values, { colour, fill, marker, radius }) {
  context.strokeStyle = colour;
  context.fillStyle = fill;
  context.lineWidth = 2 * plan.ratio;
  context.beginPath();
  values.forEach((value, k) => {
    traceMarker(context, marker, plan.x(epsilons[k]), plan.y(value), radius * plan.ratio);
  });
  context.fill();
  context.stroke();
}

/** The true curve with its intervals, and the gap between it and the guess. */
function paintTruth(context, plan, epsilons, guess, truth, look) {
  context.fillStyle = look.colour;
  context.globalAlpha = look.shaded ? 0.16 : 0; // of one curve at a time: two would mix
  context.beginPath();
  guess.forEach((value, k) => context.lineTo(plan.x(epsilons[k]), plan.y(value)));
  truth.accuracy.forEach((_, i) => {
    const k = truth.accuracy.length - 1 - i;
    context.lineTo(plan.x(epsilons[k]), plan.y(truth.accuracy[k]));
  });
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = look.colour;
  context.lineWidth = 2 * plan.ratio;
  context.beginPath();
  truth.low.forEach((low, k) => {
    const [x, cap] = [plan.x(epsilons[k]) + look.aside * plan.ratio, 4 * plan.ratio];
    for (const end of [low, truth.high[k]]) {
      context.moveTo(x - cap, plan.y(end));
      context.lineTo(x + cap, plan.y(end));
    }
    context.moveTo(x, plan.y(low));
    context.lineTo(x, plan.y(truth.high[k]));
  });
  context.stroke();
  strokeCurve(context, plan, epsilons, truth.accuracy, { ...look, wide: 3 });
  paintMarkers(context, plan, epsilons, truth.accuracy, { ...look, fill: look.colour, radius: 5 });
}

function render({ model, el }) {
  const frame = openFrame(model, el, "prediction-curve");
  let page = null; // what stands in the body
  let guesses = {};
  let drawn = new Set(); // names whose curve has been touched
  let active = 0;
  let at = 0; // budget under the keyboard's cursor
  let reveal = 1; // share of the true curves that is shown
  let animation = 0;

  const names = () => model.get("names") ?? [];
  const epsilons = () => model.get("epsilons") ?? [];
  const name = () => names()[active];
  const look = (i) => ({
    colour: frame.colours.classes[i % 10], dash: DASHES[i % 4], marker: MARKERS[i % 4],
    aside: 3 * (i - (names().length - 1) / 2), // so that intervals do not cover each other
  });

  function build() {
    cancelAnimationFrame(animation);
    frame.body.replaceChildren();
    guesses = Object.fromEntries(names().map((one) => [one, epsilons().map(() => 100)]));
    drawn = new Set();
    active = at = 0;
    const box = make("div", "mmcviz-guess", frame.body);
    const question = make("p", "mmcviz-question", box);
    make("span", "mmcviz-tag", question).textContent = "Predict";
    question.append(model.get("question"));
    const series = make("fieldset", "mmcviz-series", box);
    make("legend", "", series).textContent = "Draw";
    const group = `draw-${Math.random().toString(36).slice(2)}`;
    const swatches = names().map((one, i) => {
      const label = make("label", "mmcviz-serie", series);
      const input = make("input", "", label, { type: "radio", name: group });
      input.checked = i === 0;
      input.addEventListener("change", () => choose(i));
      const swatch = make("canvas", "mmcviz-swatch-line", label, { "aria-hidden": "true" });
      make("span", "", label).textContent = one;
      return { swatch, input };
    });
    const canvas = make("canvas", "mmcviz-canvas mmcviz-plot", box, { role: "img", tabindex: 0 });
    const hint = make("p", "mmcviz-once", box);
    const typed = buildTyped(box);
    const last = make("div", "mmcviz-line mmcviz-commit", box);
    makeCommit(frame, model, last, commit);
    makeButton(last, "Start over", build);
    make("span", "mmcviz-once", last).textContent = "A committed guess stands.";
    const verdicts = make("ul", "mmcviz-verdicts", box, { "aria-live": "polite" });
    page = { canvas, context: canvas.getContext("2d"), swatches, hint, typed, last, verdicts, series };
    listenTo(canvas);
    show();
  }

  /** The same guess as numbers to type, for those who cannot or will not draw. */
  function buildTyped(parent) {
    const box = make("details", "mmcviz-typed", parent);
    make("summary", "", box).textContent = "Type the guess as numbers";
    const table = make("table", "mmcviz-table", make("div", "mmcviz-scroll", box, { tabindex: -1 }));
    const head = make("tr", "", make("thead", "", table));
    for (const word of ["ε", ...names().map((one) => `${one} (%)`)]) {
      make("th", "", head, { scope: "col" }).textContent = word;
    }
    const rows = make("tbody", "", table);
    const cells = [];
    epsilons().forEach((epsilon, k) => {
      const row = make("tr", "", rows);
      make("th", "", row, { scope: "row" }).textContent = writeNumber(epsilon);
      names().forEach((one, i) => {
        const input = make("input", "", make("td", "", row), {
          type: "number", min: 0, max: 100, step: 1, value: 100,
          "aria-label": `${one} at ε = ${writeNumber(epsilon)}, in percent`,
        });
        input.addEventListener("input", () => {
          if (input.value === "" || !input.checkValidity()) return;
          choose(i);
          at = k;
          set(k, Number(input.value), frame.since());
        });
        cells.push({ input, one, k });
      });
    });
    return { box, cells };
  }

  // -- drawing a guess

  function choose(i) {
    if (i === active) return;
    active = i;
    page.swatches[i].input.checked = true;
    frame.paint();
  }

  function set(k, percent, since) {
    guesses[name()][k] = clampPercent(percent);
    drawn.add(name());
    frame.paint(since);
  }

  function listenTo(canvas) {
    let before = null; // budget and percent of the last event of this drag
    const take = (event) => {
      const plan = planPlot(canvas, epsilons(), frame.width - 36);
      const box = canvas.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((one) => one * plan.ratio);
      const now = { k: plan.nearest(x), percent: plan.percentAt(y) };
      const from = before ?? now;
      const span = Math.abs(now.k - from.k);
      for (let i = span ? 1 : 0; i <= span; i++) { // a fast hand skips budgets: fill them in
        const k = from.k + Math.sign(now.k - from.k) * i;
        const [first, last] = [epsilons()[from.k], epsilons()[now.k]];
        const part = span ? (epsilons()[k] - first) / (last - first) : 1;
        guesses[name()][k] = clampPercent(from.percent + part * (now.percent - from.percent));
      }
      drawn.add(name());
      before = now;
      at = now.k;
      frame.paint();
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (model.get("committed") || event.button) return;
      canvas.setPointerCapture(event.pointerId);
      before = null;
      take(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!model.get("committed") && canvas.hasPointerCapture(event.pointerId)) take(event);
    });
    canvas.addEventListener("keydown", (event) => {
      const last = epsilons().length - 1;
      const moved = {
        ArrowLeft: Math.max(at - 1, 0), ArrowRight: Math.min(at + 1, last), Home: 0, End: last,
      }[event.key];
      if (moved === undefined && !(event.key in STEPS)) return;
      event.preventDefault();
      if (moved !== undefined) {
        at = moved;
        frame.paint(frame.since());
      } else if (!model.get("committed")) {
        set(at, guesses[name()][at] + STEPS[event.key], frame.since());
      }
    });
    for (const event of ["focus", "blur"]) canvas.addEventListener(event, () => frame.paint());
  }

  function commit() {
    const missing = names().find((one) => !drawn.has(one));
    if (missing !== undefined) {
      choose(names().indexOf(missing));
      frame.say(`Draw ${missing} first, then commit.`);
      return;
    }
    commitGuesses(frame, guesses);
  }

  // -- what is shown

  function describePoint() {
    const where = `${name()} at ε = ${writeNumber(epsilons()[at])}`;
    const guess = `your guess is ${guesses[name()][at]} %`;
    if (!isAnswered(model)) return `${where}: ${guess}.`;
    const truth = model.get("answers")[name()];
    const [low, high] = [truth.low[at], truth.high[at]].map(writeTenth);
    return `${where}: ${guess}, it is ${writeTenth(truth.accuracy[at])} % (95 % sure: ${low} to ${high}).`;
  }

  function paint() {
    const { canvas, context } = page;
    const available = frame.width - 36;
    if (!names().length || available < 60) return false;
    const answered = isAnswered(model);
    const { colours } = frame;
    const plan = planPlot(canvas, epsilons(), available);
    context.clearRect(0, 0, canvas.width, canvas.height);
    paintAxes(context, {
      ...plan, xTicks: epsilonTicks(plan, epsilons()),
      yTicks: niceTicks(0, 100, 5).map((tick) => [tick, String(tick)]),
      scales: plan, xTitle: "budget ε of the attacker", colours,
    });
    context.font = `600 ${13 * plan.ratio}px ${colours.family}`;
    context.textAlign = "left";
    context.textBaseline = "bottom"; // above the markers of a guess of 100 %
    context.fillText("still right, %", plan.left - 8 * plan.ratio, plan.top - 12 * plan.ratio);
    const order = names().map((_, i) => i).sort((a, b) => (a === active) - (b === active));
    for (const i of order) paintGuess(plan, i, answered);
    if (answered) {
      context.save();
      context.beginPath();
      context.rect(0, 0, plan.left + (plan.width + 20 * plan.ratio) * reveal, canvas.height);
      context.clip();
      for (const i of order) {
        const one = names()[i];
        paintTruth(context, plan, epsilons(), guesses[one], model.get("answers")[one], {
          ...look(i), shaded: i === active,
        });
      }
      context.restore();
    } else if (!drawn.has(name())) {
      context.fillStyle = colours.ink;
      context.font = `600 ${14 * plan.ratio}px ${colours.family}`;
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(`drag me: ${name()}`, plan.left + plan.width / 2, plan.y(100) + 14 * plan.ratio);
    }
    if (document.activeElement === canvas) paintCursor(plan);
    page.swatches.forEach(({ swatch }, i) => paintSwatch(swatch, i, answered));
    describe(answered);
    return true;
  }

  function paintGuess(plan, i, answered) {
    const { context } = page;
    const one = names()[i];
    const untouched = !drawn.has(one) && !answered;
    const style = look(i);
    context.globalAlpha = answered ? 0.75 : i === active ? 1 : 0.6;
    strokeCurve(context, plan, epsilons(), guesses[one], {
      ...style, dash: untouched || answered ? [2, 5] : style.dash, wide: answered ? 2 : 2.5,
    });
    paintMarkers(context, plan, epsilons(), guesses[one], {
      ...style, fill: frame.colours.page, radius: answered ? 4 : i === active ? 6 : 5,
    });
    context.globalAlpha = 1;
  }

  function paintCursor(plan) {
    const { context } = page;
    const x = plan.x(epsilons()[at]);
    context.strokeStyle = frame.colours.ink;
    context.lineWidth = 1.5 * plan.ratio;
    context.setLineDash([4 * plan.ratio, 3 * plan.ratio]);
    context.strokeRect(x - 11 * plan.ratio, plan.y(guesses[name()][at]) - 11 * plan.ratio, 22 * plan.ratio, 22 * plan.ratio);
    context.setLineDash([]);
  }

  function paintSwatch(swatch, i, answered) {
    const ratio = sizeCanvas(swatch, 46, 18);
    const context = swatch.getContext("2d");
    const plan = { ratio, x: (x) => x * ratio, y: (y) => y * ratio };
    const style = look(i);
    context.clearRect(0, 0, swatch.width, swatch.height);
    strokeCurve(context, plan, [2, 44], [9, 9], { ...style, wide: 2.5 });
    paintMarkers(context, plan, [23], [9], { ...style, fill: answered ? style.colour : frame.colours.page, radius: 5 });
  }

  function describe(answered) {
    const { root } = frame;
    Object.assign(root.dataset, { committed: answered, active, at, drawn: drawn.size });
    page.canvas.setAttribute("aria-label", `Accuracy in percent against ε. ${describePoint()} ${answered ? "" : HINT}`);
    for (const { input, one, k } of page.typed.cells) {
      if (document.activeElement !== input) input.value = guesses[one][k];
    }
    const left = names().filter((one) => !drawn.has(one));
    if (answered) {
      frame.say(describePoint());
      page.hint.textContent = "Hollow markers: your guess. Full markers with 95 % intervals: the answer.";
    } else {
      frame.say(drawn.size ? describePoint() : "");
      const next = left.length && drawn.size ? ` Still to draw: ${left.join(", ")}.` : "";
      page.hint.textContent = HINT + next;
    }
  }

  /** Follow the model: the question, and what came with the commitment. */
  function show() {
    const answered = isAnswered(model);
    if (answered && page.last.isConnected) {
      guesses = model.get("guesses");
      const answers = model.get("answers");
      page.last.remove();
      page.typed.box.remove();
      page.series.querySelector("legend").textContent = "Look at";
      const said = names().map((one) =>
        writeCurveVerdict(one, epsilons(), guesses[one], answers[one].accuracy));
      if (said.length > 1) {
        const errors = names().map((one) => curveError(guesses[one], answers[one].accuracy));
        const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
        said.push(`All together: ${writeTenth(mean)} points.`);
      }
      for (const sentence of said) make("li", "", page.verdicts).textContent = sentence;
      frame.table(numbers);
      if (frame.root.dataset.ready === "true" && mayAnimate()) unveil();
    }
    frame.paint();
  }

  function unveil() {
    const start = performance.now();
    const next = () => {
      reveal = Math.min((performance.now() - start) / REVEAL, 1);
      frame.paint();
      if (reveal < 1) animation = requestAnimationFrame(next);
    };
    reveal = 0;
    animation = requestAnimationFrame(next);
  }

  function numbers() {
    const answers = model.get("answers");
    return {
      head: ["ε", ...names().flatMap((one) => [`${one}: guess %`, `${one}: %`, "95 % interval"])],
      rows: epsilons().map((epsilon, k) => [
        writeNumber(epsilon),
        ...names().flatMap((one) => {
          const { accuracy, low, high } = answers[one];
          return [guesses[one][k], writeTenth(accuracy[k]), `${writeTenth(low[k])} to ${writeTenth(high[k])}`];
        }),
      ]),
    };
  }

  frame.onPaint(paint);
  for (const trait of ["question", "names", "epsilons"]) frame.listen(`change:${trait}`, build);
  for (const trait of ["committed", "answers", "guesses"]) frame.listen(`change:${trait}`, show);
  frame.onDispose(() => cancelAnimationFrame(animation));
  build();
  return frame.dispose;
}

export default { render };
