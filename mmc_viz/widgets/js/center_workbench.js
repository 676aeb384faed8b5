// The center workbench: centers on a circle or a sphere, to be moved by hand, the table of their
// cosines, and a gauge for their smallest angle. Python sends arrangements to begin with and the
// best known angles (mmc_viz/widgets/center_workbench.py); all else happens here.

import { measureAngles, turn2, unitOf } from "./angles.js";
import { sizeCanvas, turnBack3 } from "./canvas.js";
import { paintScene, planScene } from "./center_drawing.js";
import { paintTable, planTable } from "./cosine_table.js";
import { GAUGE_HEIGHT, paintGauge } from "./angle_gauge.js";
import { fillSelect, make, makeButton, makeField, openFrame } from "./page.js";

const SIDE_BY_SIDE = 620; // width in CSS pixels from which both pictures stand beside each other
const LARGEST = 440; // side of a picture, in CSS pixels
const ALONE = 560; // of the table where there is nothing beside it
const GAP = 28;
const REACH = 24; // CSS pixels within which a center can be grasped
const REACHED = 0.01; // degrees below the best that count as none
const DIMS = { 2: "2, a circle", 3: "3, a sphere", 0: "L − 1, a table" };
const TRAITS = ["num_classes", "dim", "arrangement", "draw", "chosen", "moved", "turn"];

const degrees = (angle) => `${angle.toFixed(2)}°`;
const signed = (value) => value.toFixed(3).replace("-", "−").replace("−0.000", "0.000");

/** What the picture shows, as one sentence whose numbers are those of the state. */
function writeSentence(state, measured, [best]) {
  const { count, dim } = state;
  const where = { 2: "on a circle", 3: "on a sphere" }[dim] ?? `in ${count - 1} dimensions`;
  const [i, j] = measured.pair;
  const others = measured.tight.length - 1;
  const also = others ? `, and ${others} other ${others === 1 ? "pair" : "pairs"}` : "";
  const missing = best - measured.smallest;
  const verdict = missing <= REACHED
    ? "no better arrangement is known"
    : `${degrees(missing)} below the best known, ${degrees(best)}`;
  return `${count} centers ${where}: the smallest angle is ${degrees(measured.smallest)} `
    + `(centers ${i} and ${j}${also}; cosine ${signed(measured.largest)}), ${verdict}.`;
}

function render({ model, el }) {
  const frame = openFrame(model, el, "workbench");
  const { root, controls, body } = frame;

  // ---- the page

  const counts = makeField(controls, "Centers L", "input", { type: "range", min: 2, max: 20, step: 1 });
  counts.classList.add("mmcviz-count");
  const countText = make("output", "mmcviz-counted", counts.parentElement);
  const dims = makeField(controls, "Dimensions d", "select");
  dims.replaceChildren(...[2, 3, 0].map((dim) => new Option(DIMS[dim], dim)));
  const names = makeField(controls, "Begin with", "select");
  makeButton(controls, "Spread again", () => restart({ arrangement: "spread" }), {
    title: "the best arrangement that is known",
  });
  const again = makeButton(controls, "Draw again", () => restart({ draw: (state.draw + 1) % draws() }));

  const pictures = make("div", "mmcviz-pictures", body);
  const left = make("div", "mmcviz-scene", pictures);
  const sceneCanvas = make("canvas", "mmcviz-canvas mmcviz-sphere", left, { role: "img", tabindex: 0 });
  const right = make("div", "mmcviz-gram", pictures);
  const tableCanvas = make("canvas", "mmcviz-canvas mmcviz-cosines", right, { role: "img" });
  const caption = make("p", "mmcviz-caption", body);
  const gaugeCanvas = make("canvas", "mmcviz-canvas mmcviz-gauge", body, { role: "img" });
  const scene = sceneCanvas.getContext("2d");
  const table = tableCanvas.getContext("2d");
  const gauge = gaugeCanvas.getContext("2d");

  // ---- the state

  let catalogue = null;
  let state = null; // {count, dim, arrangement, draw, chosen, moved: Map, turn}
  let points = [];
  let measured = null;
  let plan = null;
  let tablePlan = null;
  let telling = false;

  const startsOf = ({ count, dim }) => catalogue.starts[dim][count];
  const draws = () => startsOf(state).random.length;
  const bestOf = ({ count, dim }) => catalogue.best[dim][count];
  const boundOf = ({ count }) => (Math.acos(-1 / (count - 1)) * 180) / Math.PI;

  /** Take the state from the model, as far as it can be shown. */
  function read() {
    const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
    const count = clamp(model.get("num_classes"), 2, 20);
    const dim = model.get("dim") in DIMS ? model.get("dim") : 2;
    const moved = new Map();
    const flat = model.get("moved") ?? [];
    for (let k = 0; dim && k + dim < flat.length; k += 1 + dim) {
      moved.set(flat[k], flat.slice(k + 1, k + 1 + dim));
    }
    return {
      count, dim, moved,
      arrangement: model.get("arrangement"),
      draw: model.get("draw"),
      chosen: clamp(model.get("chosen"), 0, count - 1),
      turn: [...model.get("turn")],
    };
  }

  /** Where the centers stand: the arrangement, and what was moved since. */
  function place() {
    const starts = startsOf(state);
    let start = starts[state.arrangement] ?? starts.spread;
    if (start === starts.random) start = (starts.random[state.draw % draws()] ?? starts.spread);
    points = start.map((point, i) => unitOf(state.moved.get(i) ?? point));
    measured = measureAngles(points);
  }

  function tellAll() {
    telling = true;
    frame.tell({
      num_classes: state.count,
      dim: state.dim,
      arrangement: state.arrangement,
      draw: state.draw,
      chosen: state.chosen,
      moved: [...state.moved].sort(([i], [j]) => i - j).flatMap(([i, place]) => [i, ...place]),
      turn: state.turn,
    });
    telling = false;
  }

  /** Another number, dimension or arrangement: whatever was moved begins anew. */
  function restart(changes, since = frame.since()) {
    if (!catalogue) return;
    state = { ...state, ...changes, moved: new Map() };
    if (!startsOf(state)[state.arrangement]?.length || !(startsOf(state).random[0] ?? true)) {
      state.arrangement = "spread";
    }
    state.draw %= draws();
    state.chosen = Math.min(state.chosen, state.count - 1);
    show(since);
    tellAll();
  }

  /** Put the chosen center somewhere; whole numbers, so that Python and a code have the same. */
  function move(point) {
    state.moved.set(state.chosen, unitOf(point).map((value) => Math.round(catalogue.unit * value)));
  }

  // ---- from state to screen

  function show(since) {
    place();
    frame.paint(since);
  }

  function arrange() {
    const width = frame.width;
    const beside = width >= SIDE_BY_SIDE && state.dim !== 0;
    const side = Math.floor(Math.min(state.dim ? LARGEST : ALONE, beside ? (width - GAP) / 2 : width));
    left.hidden = state.dim === 0;
    pictures.style.gridTemplateColumns = beside ? `repeat(2, ${side}px)` : `${side}px`;
    const ratio = sizeCanvas(tableCanvas, side, side);
    sizeCanvas(sceneCanvas, side, side);
    const across = Math.floor(Math.min(width, beside ? 2 * side + GAP : side));
    sizeCanvas(gaugeCanvas, across, GAUGE_HEIGHT);
    plan = planScene(side, ratio, state.dim, state.turn);
    tablePlan = planTable(side, ratio, state.count);
  }

  frame.onPaint(() => {
    if (!catalogue) return false;
    arrange();
    const { colours } = frame;
    const best = bestOf(state);
    const bound = boundOf(state);
    if (state.dim) paintScene(scene, plan, points, measured, state.chosen, colours);
    paintTable(table, tablePlan, points, measured, state.dim ? state.chosen : -1, colours);
    const simplex = `no more is possible in any dimension: ${degrees(bound)}`;
    const marks = bound - best[0] > REACHED
      ? [{ angle: best[0], text: `best known here: ${degrees(best[0])}` },
        { angle: bound, text: simplex, below: true }]
      : [{ angle: bound, text: simplex, below: true }];
    const { ratio } = plan;
    paintGauge(gauge, gaugeCanvas.width, ratio, measured.smallest, best[0], marks, colours);
    describe(best, bound);
    return true;
  });

  function describe(best, bound) {
    const { count, dim, chosen } = state;
    counts.value = count;
    countText.value = count;
    dims.value = dim;
    const starts = startsOf(state);
    for (const option of names.options) {
      const start = option.value === "random" ? starts.random[0] : starts[option.value];
      option.disabled = !start;
    }
    names.value = state.arrangement;
    again.hidden = state.arrangement !== "random" || draws() < 2;
    const sentence = writeSentence(state, measured, best);
    frame.say(sentence);
    caption.textContent = dim
      ? `Center ${chosen} is chosen. Drag any center, or go to the picture with Tab: [\u00a0and\u00a0] choose, `
        + `arrow keys move by 1°, with Shift by 10°${dim === 3 ? "; drag beside, or A D W S: turn" : ""}.`
      : `${count - 1} dimensions cannot be drawn. The table shows all that matters about the centers.`;
    sceneCanvas.setAttribute("aria-label", `${sentence} Center ${chosen} is chosen.`);
    tableCanvas.setAttribute("aria-label", `Table of the cosines of all ${count} centers. ${sentence}`);
    gaugeCanvas.setAttribute(
      "aria-label",
      `Smallest angle ${degrees(measured.smallest)}, best known ${degrees(best[0])}, `
        + `bound ${degrees(bound)}.`,
    );
    const data = {
      count, dim, chosen, arrangement: state.arrangement, draw: state.draw,
      angle: measured.smallest.toFixed(5), cosine: measured.largest.toFixed(6),
      pair: measured.pair.join("-"), tight: measured.tight.length,
      best: best[0].toFixed(5), moved: state.moved.size, turn: state.turn.join(),
    };
    Object.assign(root.dataset, data);
  }

  frame.table(() => ({
    head: ["pair", "angle", "cosine", ""],
    rows: points.flatMap((_, i) => points.slice(i + 1).map((_, k) => [i, i + 1 + k]))
      .sort(([a, b], [c, d]) => measured.angles[a][b] - measured.angles[c][d])
      .map(([i, j]) => [
        `${i}, ${j}`,
        degrees(measured.angles[i][j]),
        signed(Math.cos((measured.angles[i][j] * Math.PI) / 180)),
        measured.tight.some(([a, b]) => a === i && b === j) ? "smallest" : "",
      ]),
  }));

  // ---- from the reader

  counts.addEventListener("input", () => restart({ count: Number(counts.value) }));
  dims.addEventListener("change", () => restart({ dim: Number(dims.value) }));
  names.addEventListener("change", () => restart({ arrangement: names.value }));

  const pixels = (event) => {
    const box = sceneCanvas.getBoundingClientRect();
    return [(event.clientX - box.left) * plan.ratio, (event.clientY - box.top) * plan.ratio];
  };

  /** The center under a point of the picture, those in front first; -1 for none. */
  function centerAt([x, y]) {
    const near = points.map((point, i) => {
      const [across, up, depth] = plan.view(point);
      const away = Math.hypot(plan.x(across) - x, plan.y(up) - y);
      return { i, depth, away, front: depth >= 0 };
    }).filter(({ away }) => away <= REACH * plan.ratio);
    near.sort((a, b) => b.front - a.front || a.away - b.away);
    return near.length ? near[0].i : -1;
  }

  let drag = null; // {center: front or behind} or {turn, from}
  sceneCanvas.addEventListener("pointerdown", (event) => {
    if (!catalogue || event.button) return;
    const at = pixels(event);
    const found = centerAt(at);
    if (found < 0 && plan.flat) return;
    sceneCanvas.setPointerCapture(event.pointerId);
    if (found < 0) {
      drag = { from: at, turn: [...state.turn] };
      return;
    }
    state.chosen = found;
    drag = { front: plan.view(points[found])[2] >= 0 };
    frame.paint();
  });
  sceneCanvas.addEventListener("pointermove", (event) => {
    if (!catalogue) return;
    const [x, y] = pixels(event);
    if (!drag) {
      sceneCanvas.style.cursor = centerAt([x, y]) >= 0 || !plan.flat ? "grab" : "default";
      return;
    }
    const since = performance.now();
    if (drag.turn) {
      const by = [x - drag.from[0], y - drag.from[1]].map((d) => Math.round((d / plan.scale) * 57));
      turnTo(drag.turn[0] + by[0], drag.turn[1] + by[1]);
    } else {
      const [across, up] = [(x - plan.size / 2) / plan.scale, (plan.size / 2 - y) / plan.scale];
      const away = Math.hypot(across, up);
      if (away < 1e-3) return;
      if (plan.flat) move([across, up]);
      else {
        const near = Math.sqrt(Math.max(1 - away * away, 0)) * (drag.front ? 1 : -1);
        move(turnBack3(plan.rotation, away > 1 ? [across / away, up / away, 0] : [across, up, near]));
      }
    }
    show(since);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    sceneCanvas.addEventListener(end, () => {
      if (!drag) return;
      drag = null;
      tellAll();
    });
  }

  function turnTo(yaw, pitch) {
    state.turn = [((Math.round(yaw) % 360) + 360) % 360, Math.min(Math.max(Math.round(pitch), -90), 90)];
  }

  /** Move the chosen center as an arrow key says: on the circle, or about the picture's axes. */
  function step(key, by) {
    const sign = key === "ArrowLeft" || key === "ArrowUp" ? 1 : -1;
    const point = points[state.chosen];
    if (plan.flat) {
      move(turn2(point, sign * by));
      return;
    }
    const [across, up, near] = plan.view(point);
    const upright = key === "ArrowUp" || key === "ArrowDown";
    // Left moves what lies in front to the left, up moves it up.
    const [a, b] = turn2(upright ? [near, up] : [near, across], upright ? sign * by : -sign * by);
    move(turnBack3(plan.rotation, upright ? [across, b, a] : [b, up, a]));
  }

  const TURNS = { a: [-10, 0], d: [10, 0], w: [0, 10], s: [0, -10] };
  sceneCanvas.addEventListener("keydown", (event) => {
    if (!catalogue || event.ctrlKey || event.metaKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const choose = { "[": -1, "]": 1, p: -1, n: 1 }[key];
    if (key.startsWith("Arrow")) step(key, event.shiftKey ? 10 : 1);
    else if (choose) state.chosen = (state.chosen + choose + state.count) % state.count;
    else if (TURNS[key] && !plan.flat) turnTo(state.turn[0] + TURNS[key][0], state.turn[1] + TURNS[key][1]);
    else return;
    event.preventDefault();
    show(frame.since());
    tellAll();
  });

  tableCanvas.addEventListener("pointermove", (event) => {
    const found = catalogue
      && tablePlan.at(event.offsetX * tablePlan.ratio, event.offsetY * tablePlan.ratio);
    if (!found || found[0] === found[1]) tableCanvas.title = "";
    else {
      const [i, j] = found;
      const angle = measured.angles[i][j];
      tableCanvas.title = `centers ${i} and ${j}: ${degrees(angle)}, cosine `
        + signed(Math.cos((angle * Math.PI) / 180));
    }
  });

  // ---- from the model

  function take() {
    if (drag || telling || !catalogue) return; // the hand on the picture goes first
    state = read();
    show();
  }
  for (const trait of TRAITS) frame.listen(`change:${trait}`, take);

  function load() {
    const found = model.get("catalogue");
    catalogue = found?.starts ? found : null;
    if (!catalogue) return;
    fillSelect(names, Object.keys(catalogue.names));
    for (const option of names.options) option.title = catalogue.names[option.value];
    take();
  }
  frame.listen("change:catalogue", load);
  load();
  return frame.dispose;
}

export default { render };
