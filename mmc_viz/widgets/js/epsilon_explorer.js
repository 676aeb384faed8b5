// The epsilon explorer: grids of attacked images, a menu of attacks and a slider for the budget.
//
// Python sends everything once (mmc_viz/bundles.py describes the bytes); from then on a move of the
// slider is looked up and drawn here, so it needs no kernel.
//
// Two steps lead from an event to the screen: `show` decides which run and step it is to be, `paint`
// draws them. Telling the kernel comes after the painting, and may fail: there may be no kernel.

import { asBytes } from "./bytes.js";
import { unpack } from "./bundle.js";
import { fillAtlas, listenToGrid, openGrid, paintGrid, planGrid, sizeGrid } from "./canvas.js";
import { buildOutcomes, fillSelect, make, makeButton, makeField, openFrame } from "./page.js";

const SIDE_BY_SIDE = 640; // width in CSS pixels from which two panels stand beside each other
const PANEL_GAP = 28;
const GAINS = [1, 2, 5, 10, 20, 50, 100];
const HINT = "Point at an image, or go to a grid with Tab and use the arrow keys.";

// ---- words ---------------------------------------------------------------------------------------

/** Two decimals where they tell the epsilons of a run apart, three otherwise (8/255 = 0.031). */
function writeEpsilon(run, step) {
  const coarse = run.epsilons.every((e) => Math.abs(100 * e - Math.round(100 * e)) < 1e-3);
  return run.epsilons[step].toFixed(coarse ? 2 : 3);
}

/** Epsilon in grey levels, such as "25.5 / 255"; nothing for budgets that are no such thing. */
function writeGreyLevels(epsilon) {
  if (epsilon > 1) return "";
  return `${(255 * epsilon).toFixed(1).replace(/\.0$/, "")} / 255`;
}

function percentOf(right, count) {
  return Math.floor((200 * right + count) / (2 * count));
}

/** The same sentence as EpsilonExplorer.sentences in Python. */
function writeSentence(panel, count, step) {
  const right = panel.right[step];
  return `${panel.title}: ${right} of ${count} still right (${percentOf(right, count)} %).`;
}

/** What each model makes of one image at this step. */
function writeCaption(run, step, n) {
  const verdicts = run.panels.map((panel) => {
    const sees = `${panel.title} sees ${run.names[panel.predictions[step][n]]}`;
    if (!panel.success[step][n]) return sees;
    if (panel.since[n] === 0 && run.epsilons[0] === 0) return `${sees} (even without an attack)`;
    return `${sees} (fooled from ε\u00a0=\u00a0${writeEpsilon(run, panel.since[n])} on)`;
  });
  return `True class: ${run.names[run.labels[n]]}. ${verdicts.join("; ")}.`;
}

/** The largest round factor that leaves every difference of this step inside the grey scale. */
function chooseGain(run, step) {
  run.gains ??= [];
  if (run.gains[step] === undefined) {
    const pixels = run.channels * run.height * run.width;
    const steps = run.epsilons.length;
    let most = 0;
    for (const { images } of run.panels) {
      for (let n = 0; n < run.count; n++) {
        const clean = n * steps * pixels;
        for (let i = clean, j = clean + step * pixels; i < clean + pixels; i++, j++) {
          const difference = Math.abs(images[j] - images[i]);
          if (difference > most) most = difference;
        }
      }
    }
    run.gains[step] = GAINS.findLast((gain) => gain * most <= 127) ?? 1;
  }
  return run.gains[step];
}

// ---- the page ------------------------------------------------------------------------------------

/** All that stays the same whatever is shown; the panels come with the first bundle. */
function buildExplorer({ controls, body }) {
  const select = makeField(controls, "Attacker’s objective", "select");
  select.classList.add("mmcviz-run");

  const toggle = make("label", "mmcviz-field mmcviz-toggle", controls);
  const checkbox = make("input", "mmcviz-perturbation", toggle, { type: "checkbox" });
  make("span", "", toggle).textContent = "show the perturbation";
  const gain = make("span", "mmcviz-gain", toggle);

  buildOutcomes(controls, "still right", "fooled");

  const budget = make("label", "mmcviz-budget", controls);
  make("span", "mmcviz-name", budget).textContent = "Attacker’s budget";
  const slider = make("input", "mmcviz-slider", budget, {
    type: "range", min: 0, max: 0, step: 1, value: 0,
  });
  const readout = make("span", "mmcviz-readout", budget, { "aria-hidden": "true" });
  const epsilon = make("span", "mmcviz-epsilon", readout);
  const grey = make("span", "mmcviz-grey", readout);

  const panels = make("div", "mmcviz-panels", body);
  const caption = make("p", "mmcviz-caption", body, { "aria-live": "polite" });
  caption.textContent = HINT;
  return { select, checkbox, gain, slider, epsilon, grey, panels, caption };
}

function buildPanel(parent) {
  const element = make("div", "mmcviz-panel", parent, { role: "group" });
  const title = make("p", "mmcviz-title", element, { "aria-hidden": "true" });
  const bar = make("div", "mmcviz-bar", element, { "aria-hidden": "true" });
  const share = make("div", "mmcviz-share", bar);
  const canvas = make("canvas", "mmcviz-canvas", element, { role: "img", tabindex: 0 });
  const sentence = make("p", "mmcviz-sentence", element, { "aria-live": "polite" });
  return { ...openGrid(canvas), element, title, share, sentence };
}

/** The row with which a student attacks the same images anew. */
function buildOwnAttack(frame, model) {
  const row = make("div", "mmcviz-controls mmcviz-own", null);
  frame.body.after(row);
  make("span", "mmcviz-name", row).textContent = "Attack them yourself:";
  const number = (label, attributes) =>
    makeField(row, label, "input", { type: "number", ...attributes });
  const eps = number("ε", { min: 0, max: 1, step: 0.01, value: 0.1 });
  const steps = number("steps", { min: 1, max: 200, step: 1, value: 50 });
  const objective = makeField(row, "objective", "select");
  const button = makeButton(row, "Attack now", () => {
    frame.ask({ do: "attack", eps: eps.valueAsNumber, steps: steps.valueAsNumber, objective: objective.value });
  });
  button.classList.add("mmcviz-primary");
  const follow = () => {
    const objectives = model.get("objectives") ?? [];
    row.hidden = !objectives.length; // finished results cannot be attacked
    fillSelect(objective, objectives, objective.value || objectives.at(-1));
    button.disabled = Boolean(model.get("busy"));
  };
  for (const trait of ["busy", "objectives"]) frame.listen(`change:${trait}`, follow);
  follow();
}

function render({ model, el }) {
  const frame = openFrame(model, el, "explorer");
  const { root } = frame;
  const page = buildExplorer(frame);
  const { select, slider, checkbox } = page;
  buildOwnAttack(frame, model);
  const bundles = { bundle: [], live: [] }; // trait to its runs
  const decoding = { bundle: 0, live: 0 }; // number of the newest request, to drop late answers
  const problems = { bundle: "", live: "" };
  let views = [];
  let run = null; // what is on screen
  let step = 0;
  let pointed = -1; // image under the pointer or the keyboard's cursor

  const allRuns = () => [...bundles.bundle, ...bundles.live];
  const gainNow = () => (checkbox.checked ? chooseGain(run, step) : 0);

  // -- from state to screen

  /** Adapt canvases to the width of the page. */
  function arrange() {
    const { family } = frame.colours;
    const available = frame.width;
    const beside = available < SIDE_BY_SIDE ? 1 : Math.floor(available / (SIDE_BY_SIDE / 2));
    const perRow = Math.min(run.panels.length, beside);
    const panelWidth = Math.floor((available - (perRow - 1) * PANEL_GAP) / perRow);
    const ratio = window.devicePixelRatio || 1;
    const key = [panelWidth, ratio, perRow, run.count, run.height, run.width, family,
      ...run.names].join();
    if (views.length !== run.panels.length) {
      page.panels.replaceChildren();
      views = run.panels.map(() => buildPanel(page.panels));
      views.forEach(listenToCanvas);
    }
    // The style sheet sizes the sentences so that the longest that can come stays on one line.
    const sentences = run.panels.map((panel) => writeSentence(panel, run.count, 0).length + 2);
    page.panels.style.setProperty("--mmcviz-characters", Math.max(...sentences));
    for (const view of views) {
      if (view.key === key) continue;
      view.key = key;
      page.panels.style.gridTemplateColumns = `repeat(${perRow}, minmax(0, 1fr))`;
      sizeGrid(view, planGrid(run, panelWidth, ratio, view.context, family));
      view.earlierLabel = view.plan.fit("✕ earlier", 600);
    }
  }

  function paintPanel(view, panel) {
    const pixels = run.channels * run.height * run.width;
    const steps = run.epsilons.length;
    const clean = (n) => n * steps * pixels;
    fillAtlas(view, run, panel.images, (n) => clean(n) + step * pixels, { gain: gainNow(), clean });
    const success = panel.success[step];
    const predictions = panel.predictions[step];
    paintGrid(view, run, {
      wrong: (n) => success[n],
      label: (n) => {
        if (!success[n]) return view.plan.rightLabels[predictions[n]];
        // A path that attacks again at each epsilon may lose an image that it had fooled before.
        if (predictions[n] === run.labels[n]) return view.earlierLabel;
        return view.plan.wrongLabels[predictions[n]];
      },
      pointed,
      colours: frame.colours,
    });
  }

  frame.onPaint(() => {
    if (!run) return false;
    arrange();
    run.panels.forEach((panel, i) => paintPanel(views[i], panel));
    describe();
    return true;
  });

  /** Bring all words in line with what is drawn. */
  function describe() {
    const epsilon = `ε = ${writeEpsilon(run, step)}`;
    const grey = writeGreyLevels(run.epsilons[step]);
    page.epsilon.textContent = epsilon;
    page.grey.textContent = grey;
    slider.value = step;
    slider.setAttribute("aria-valuetext", grey ? `${epsilon}, ${grey}` : epsilon);
    select.value = run.name;
    const gain = gainNow();
    page.gain.textContent = gain ? `× ${gain}` : "";
    run.panels.forEach((panel, i) => {
      const view = views[i];
      const sentence = writeSentence(panel, run.count, step);
      view.element.setAttribute("aria-label", panel.title);
      view.title.textContent = panel.title;
      view.sentence.textContent = sentence;
      view.canvas.setAttribute("aria-label", `Grid of ${run.count} images, ${epsilon}. ${sentence}`);
      view.share.style.transform = `scaleX(${panel.right[step] / run.count})`;
    });
    const hint = gain ? `The change since ε = 0, amplified ${gain} times; mid-grey is none. ` : "";
    page.caption.textContent = pointed < 0 ? hint + HINT : writeCaption(run, step, pointed);
    page.caption.classList.toggle("mmcviz-hint", pointed < 0);
    root.dataset.run = run.name;
    root.dataset.step = step;
  }

  /** Still right at every budget of this run. */
  function listNumbers() {
    return {
      head: ["ε", ...run.panels.map(({ title }) => `${title} still right, of ${run.count}`)],
      rows: run.epsilons.map((_, k) => [
        writeEpsilon(run, k), ...run.panels.map(({ right }) => String(right[k])),
      ]),
    };
  }

  /** Take run and step from the model, as far as they can be shown. */
  function show() {
    const runs = allRuns();
    if (!runs.length) return;
    const wanted = model.get("run");
    // A result of the student's own may bear the name of an older one: the newest counts.
    const next = runs.findLast(({ name }) => name === wanted) ?? (runs.includes(run) ? run : runs[0]);
    const last = next.epsilons.length - 1;
    const nextStep = Math.min(Math.max(model.get("step") ?? 0, 0), last);
    if (next === run && nextStep === step) return;
    if (next !== run) {
      slider.max = last;
      if (pointed >= next.count) pointed = -1;
    }
    run = next;
    step = nextStep;
    frame.paint();
    frame.table(listNumbers);
  }

  // -- from the model

  async function load(trait) {
    const request = ++decoding[trait];
    const bytes = asBytes(model.get(trait));
    let runs = [];
    let problem = "";
    if (bytes.length) {
      try {
        runs = await unpack(bytes);
      } catch (error) {
        problem = `These results cannot be shown (${error.message}). Run the cell again.`;
      }
    } else if (trait === "bundle" && !model.get("locked")) {
      problem = "There are no results to show. Run the cell again.";
    }
    if (request !== decoding[trait]) return;
    bundles[trait] = runs;
    problems[trait] = problem;
    frame.fail(allRuns().length ? "" : problems.bundle);
    const names = [...new Set(allRuns().map(({ name }) => name))];
    fillSelect(select, names, run?.name);
    show();
  }

  frame.listen("change:bundle", () => load("bundle"));
  frame.listen("change:live", () => load("live"));
  frame.listen("change:run", show);
  frame.listen("change:step", show);
  frame.listen("change:perturbation", () => {
    checkbox.checked = Boolean(model.get("perturbation"));
    frame.paint();
  });
  checkbox.checked = Boolean(model.get("perturbation"));

  // -- from the reader

  /** Move to a run and step: first the picture, then the kernel. */
  function choose(nextRun, nextStep, since) {
    const other = nextRun !== run;
    if (other) slider.max = nextRun.epsilons.length - 1;
    run = nextRun;
    step = nextStep;
    frame.paint(since);
    if (other) frame.table(listNumbers);
    frame.tell({ run: run.name, step });
  }

  slider.addEventListener("input", () => {
    if (run) choose(run, Number(slider.value), frame.since());
  });

  select.addEventListener("change", () => {
    const since = frame.since();
    const next = allRuns().findLast(({ name }) => name === select.value);
    if (!next) return;
    // Stay at the same budget, also where the other run has other steps.
    const distance = (k) => Math.abs(next.epsilons[k] - run.epsilons[step]);
    let nearest = 0;
    for (let k = 1; k < next.epsilons.length; k++) {
      if (distance(k) < distance(nearest)) nearest = k;
    }
    choose(next, nearest, since);
  });

  checkbox.addEventListener("change", () => {
    frame.paint();
    frame.tell({ perturbation: checkbox.checked });
  });

  function point(n) {
    if (n === pointed) return;
    pointed = n;
    frame.paint();
  }

  const listenToCanvas = (view) =>
    listenToGrid(view, { point, pointed: () => pointed, count: () => run.count });

  load("bundle");
  load("live");

  return () => {
    decoding.bundle++; // an answer that is still to come finds nobody
    decoding.live++;
    frame.dispose();
  };
}

export default { render };
