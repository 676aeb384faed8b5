// The feature view: maps of several models side by side, in which the same images move as the
// budget grows, a brush that picks images out of all maps at once, and their pictures.
//
// Python sends everything once. `step` is the budget of all words and pictures; `shown` is where the
// points are drawn, which runs after it for the fifth of a second that a move takes.

import { asBytes } from "./bytes.js";
import { unpack } from "./bundle.js";
import { traceMarker, sizeCanvas } from "./canvas.js";
import { listenForBrush } from "./feature_brush.js";
import { fooledAt, unpackAtlas, writeImage, writeJourney, writeQuality } from "./feature_atlas.js";
import { paintMap, placeAt, planMap } from "./feature_map.js";
import { buildFeaturePanel, buildFeatureView } from "./feature_page.js";
import { paintDistances, paintStrip } from "./feature_strip.js";
import { fillSelect, make, makeButton, mayAnimate, openFrame } from "./page.js";

const BESIDE = 640; // width in CSS pixels from which maps stand beside each other
const GAP = 28;
const GLIDE = 180; // milliseconds of a move
const PLAY = 260; // milliseconds of a budget while it plays
const HINT = "Drag a rectangle over points to see their images. With keys: Tab to a map, arrows move "
  + "from point to point, Space picks one, Escape clears.";

function render({ model, el }) {
  const frame = openFrame(model, el, "features");
  const { root } = frame;
  const page = buildFeatureView(frame);
  const { select, slider } = page;
  let run = null; // the attacked images
  let atlas = null;
  let views = [];
  let request = 0;
  let [step, shown, pointed] = [0, 0, -1];
  let motion = 0; // of requestAnimationFrame
  let timer = 0;
  let keyColours = null; // with which the legend was drawn

  const menu = () => model.get("menu") ?? {};
  const mapNow = () => atlas.maps.find(({ name }) => name === model.get("map")) ?? atlas.maps[0];
  const chosen = () => new Set(model.get("chosen") ?? []);
  const isShown = (label) => {
    const only = model.get("classes") ?? [];
    return !only.length || only.includes(label);
  };

  const play = makeButton(page.budget, "Play", () => (timer ? halt() : start()));
  play.classList.add("mmcviz-play");
  page.budget.prepend(play);

  // -- from state to screen

  function sceneOf(place) {
    const map = mapNow();
    return {
      run, atlas, colours: frame.colours, shown, step, pointed, isShown,
      drawn: map.panels[place], panel: run.panels[place], model: atlas.models[place],
      chosen: chosen(), tails: Boolean(model.get("tails")), brush: views[place].brush,
      isLinear: map.name !== "umap",
      key: [atlas.number, map.name, ...(model.get("classes") ?? [])],
    };
  }

  function arrange() {
    const available = frame.width;
    const perRow = available < BESIDE ? 1 : Math.min(run.panels.length, Math.floor(available / (BESIDE / 2)));
    const width = Math.floor((available - (perRow - 1) * GAP) / perRow);
    if (views.length !== run.panels.length) {
      page.panels.replaceChildren();
      page.strips.replaceChildren();
      views = run.panels.map(() => buildFeaturePanel(page.panels, page.strips));
      views.forEach((view, place) => listenForBrush(view, hostOf(place)));
    }
    for (const grid of [page.panels, page.strips]) grid.style.gridTemplateColumns = `repeat(${perRow}, minmax(0, 1fr))`;
    const height = Math.round(Math.max(280, Math.min(0.72 * width, 0.5 * window.innerHeight)));
    views.forEach((view, place) => planMap(view, mapNow().panels[place], width, height));
    return width;
  }

  function paintMaps() {
    views.forEach((view, place) => paintMap(view, sceneOf(place)));
  }

  frame.onPaint(() => {
    if (!run || !atlas) return false;
    const width = arrange();
    paintMaps();
    const picked = [...chosen()].filter((n) => isShown(run.labels[n]));
    views.forEach((view, place) => {
      const scene = sceneOf(place);
      paintDistances(view, width, scene);
      paintStrip(view, width, { ...scene, picked });
    });
    describe(picked);
    return true;
  });

  function describe(picked) {
    const epsilon = `ε = ${run.epsilons[step].toFixed(3)}`;
    page.readout.textContent = epsilon;
    slider.value = step;
    slider.setAttribute("aria-valuetext", epsilon);
    const map = mapNow();
    select.value = map.name;
    page.note.textContent = map.name === "plane"
      ? `${map.note} Here: ${atlas.plane.map((label) => run.names[label]).join(", ")}.` : map.note;
    views.forEach((view, place) => {
      const { title, anchors_are: anchors } = atlas.models[place];
      const fooled = `${fooledAt(run, place, step)} of ${run.count} fooled`;
      view.element.setAttribute("aria-label", title);
      view.title.textContent = `${title}: ${fooled}`;
      view.quality.textContent = writeQuality(map.panels[place]);
      view.map.setAttribute("aria-label",
        `Map of ${title} by ${menu()[map.name] ?? map.name}, with ${anchors}. ${epsilon}, ${fooled}. ${picked.length} images picked.`);
      view.distances.setAttribute("aria-label",
        `Histogram of the true distances of ${title} to the own and the nearest other of the ${anchors}, ${epsilon}.`);
      view.strip.setAttribute("aria-label", `${picked.length} images as ${title} gets them, ${epsilon}.`);
    });
    page.caption.textContent = pointed >= 0 ? writeImage(run, step, pointed)
      : picked.length ? `${picked.length} of ${run.count} images are picked.` : HINT;
    const means = atlas.models.filter(({ anchors_are: what }) => what !== "centers").map(({ title }) => title);
    page.means.textContent = means.length
      ? `${means.join(", ")} has no centers: the means of its classes stand in for them.` : "";
    page.clear.hidden = !picked.length;
    frame.say(writeJourney(run, atlas, step));
    page.legend.querySelectorAll("button").forEach((button, label) => {
      const only = model.get("classes") ?? [];
      button.setAttribute("aria-pressed", only.includes(label));
      button.classList.toggle("mmcviz-off", !isShown(label));
      if (keyColours !== frame.colours) paintKey(button.firstChild, label);
    });
    keyColours = frame.colours;
    Object.assign(root.dataset, { step, map: map.name, chosen: (model.get("chosen") ?? []).join(), tails: Boolean(model.get("tails")) });
  }

  function paintKey(canvas, label) {
    const ratio = sizeCanvas(canvas, 16, 16);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = frame.colours.classes[label % frame.colours.classes.length];
    context.beginPath();
    traceMarker(context, label, 8 * ratio, 8 * ratio, 5.5 * ratio);
    context.fill();
  }

  function listNumbers() {
    return {
      head: ["ε", ...atlas.models.flatMap(({ title }) => [
        `${title} fooled, of ${run.count}`, "moved (median)", "in class distances", "way to another center",
      ])],
      rows: run.epsilons.map((epsilon, k) => [
        epsilon.toFixed(3),
        ...atlas.models.flatMap(({ moved, way, class_distance: unit }, place) => [
          String(fooledAt(run, place, k)), moved[k].toFixed(2), (moved[k] / unit).toFixed(3),
          `${(100 * way[k]).toFixed(0)} %`,
        ]),
      ]),
    };
  }

  // -- motion

  function setShown(value) {
    shown = value;
    root.dataset.moving = shown !== step;
  }

  /** Go to a budget: words and pictures at once, points on their way. */
  function goTo(next, since) {
    cancelAnimationFrame(motion);
    const from = shown;
    step = next;
    setShown(mayAnimate() ? from + 0.4 * (step - from) : step);
    frame.paint(since);
    if (shown === step) return;
    const [begin, low] = [performance.now(), shown];
    const move = (now) => {
      const share = Math.min(Math.max((now - begin) / GLIDE, 0), 1);
      setShown(share < 1 ? low + share * (step - low) : step);
      paintMaps();
      if (share < 1) motion = requestAnimationFrame(move);
    };
    motion = requestAnimationFrame(move);
  }

  function start() {
    if (!run) return;
    const last = run.epsilons.length - 1;
    play.textContent = "Pause";
    cancelAnimationFrame(motion);
    if (step >= last) choose(0);
    const tick = () => {
      choose(step + 1);
      if (step < last) timer = setTimeout(tick, PLAY);
      else halt();
    };
    timer = setTimeout(tick, PLAY);
  }

  function halt() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function choose(next, since) {
    goTo(next, since);
    frame.tell({ step });
  }

  // -- from the reader

  slider.addEventListener("input", () => {
    halt();
    if (run) choose(Number(slider.value), frame.since());
  });

  page.tails.addEventListener("change", () => {
    frame.choose({ tails: page.tails.checked });
  });

  select.addEventListener("change", () => {
    const since = frame.since();
    if (!atlas) return;
    if (atlas.maps.some(({ name }) => name === select.value)) {
      frame.choose({ map: select.value }, since);
    } else {
      frame.ask({ do: "map", name: select.value });
      frame.paint(since);
    }
  });

  page.clear = makeButton(page.picked, "Clear", () => pick([]), { hidden: "" });

  /** Pick exactly these images, in all maps. */
  function pick(places) {
    frame.choose({ chosen: [...new Set(places)].sort((a, b) => a - b) });
  }

  function point(n) {
    if (n === pointed) return;
    pointed = n;
    frame.paint();
  }

  const visible = () => run.labels.map((_, n) => n).filter((n) => isShown(run.labels[n]));

  /** What the brush of a map has to know and may do. */
  const hostOf = (place) => ({
    ready: () => Boolean(run),
    visible,
    pointed: () => pointed,
    place: (n) => placeAt(mapNow().panels[place].positions, run.count, shown, n),
    point,
    pick,
    toggle: (n) => {
      const next = chosen();
      if (!next.delete(n)) next.add(n);
      pick(next);
    },
    paint: () => frame.paint(),
  });

  function buildLegend() {
    keyColours = null;
    page.legend.replaceChildren();
    run.names.forEach((name, label) => {
      const button = make("button", "mmcviz-button mmcviz-class", page.legend, { type: "button", "aria-pressed": "false" });
      make("canvas", "", button, { "aria-hidden": "true" });
      make("span", "", button).textContent = name;
      button.addEventListener("click", () => {
        const only = new Set(model.get("classes") ?? []);
        if (!only.delete(label)) only.add(label);
        frame.choose({ classes: [...only].sort((a, b) => a - b) });
      });
    });
  }

  // -- from the model

  function showMenu() {
    const names = { ...menu() };
    for (const { name } of atlas?.maps ?? []) names[name] ??= name;
    const there = new Set((atlas?.maps ?? []).map(({ name }) => name));
    fillSelect(select, Object.keys(names), atlas ? mapNow().name : "");
    for (const option of select.options) {
      option.textContent = names[option.value] + (there.has(option.value) ? "" : " (draw it now)");
    }
  }

  async function load() {
    const mine = ++request;
    const [bundle, packed] = [asBytes(model.get("bundle")), asBytes(model.get("atlas"))];
    if (!bundle.length || !packed.length) { // where one is there, the other is on its way
      const none = !bundle.length && !packed.length && !model.get("locked");
      frame.fail(none ? "There are no results to show. Run the cell again." : "");
      return;
    }
    try {
      const [first] = await unpack(bundle);
      const shape = { steps: first.epsilons.length, count: first.count, classes: first.names.length };
      const found = await unpackAtlas(packed, shape);
      if (mine !== request) return;
      [run, atlas] = [first, { ...found, number: mine }];
    } catch (error) {
      if (mine === request) frame.fail(`These results cannot be shown (${error.message}). Run the cell again.`);
      return;
    }
    frame.fail("");
    slider.max = run.epsilons.length - 1;
    step = Math.min(Math.max(model.get("step") ?? 0, 0), run.epsilons.length - 1);
    setShown(step);
    buildLegend();
    showMenu();
    frame.paint();
    frame.table(listNumbers);
  }

  frame.listen("change:bundle", load);
  frame.listen("change:atlas", load);
  frame.listen("change:menu", showMenu);
  for (const trait of ["map", "chosen", "classes"]) frame.listen(`change:${trait}`, () => { if (run) frame.paint(); });
  frame.listen("change:tails", () => {
    page.tails.checked = Boolean(model.get("tails"));
    if (run) frame.paint();
  });
  frame.listen("change:step", () => {
    if (!run) return;
    const next = Math.min(Math.max(model.get("step") ?? 0, 0), run.epsilons.length - 1);
    if (next !== step) goTo(next);
  });
  page.tails.checked = Boolean(model.get("tails"));
  frame.onDispose(() => {
    request++;
    halt();
    cancelAnimationFrame(motion);
  });
  load();
  return () => frame.dispose();
}

export default { render };
