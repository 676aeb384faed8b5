// The contour film: features of several heads over the contours of their losses, epoch by epoch.
//
// Python sends everything once (mmc_viz/films/packing.py describes the bytes); from then on a move of
// the slider is looked up and drawn here, so it needs no kernel. The map behind the points is drawn
// once for each panel, epoch and class, and kept.

import { asBytes } from "./bytes.js";
import { drawImage8, openLayer, paintPoints, sizeCanvas } from "./canvas.js";
import { gridOf, unpackFilm } from "./film.js";
import { LEGEND_HEIGHT, paintFilmLegend, paintPlace, paintTicks } from "./film_drawing.js";
import { paintLossMap } from "./loss_map.js";
import { make, makeButton, makeField, mayAnimate, openFrame } from "./page.js";

const HOLD = 900; // milliseconds between two epochs while it plays
const GLIDE = 550; // of which the points are on their way
const GAP = 24;
const HINT = "Large markers are centers, or class means where there are none; crosses are errors. Point "
  + "at a feature, or go to a picture with Tab: [\u00a0and\u00a0] step through images, arrow keys through epochs.";

const two = (value) => (Math.abs(value) >= 10 ? value.toFixed(0) : value.toPrecision(2)).replace("-", "−");

function render({ model, el }) {
  const frame = openFrame(model, el, "film");
  const { root, controls, body } = frame;

  // ---- the page

  const play = makeButton(controls, "▶ Play", () => (playing ? pause() : start()), {
    class: "mmcviz-button mmcviz-primary mmcviz-play",
  });
  const slider = makeField(controls, "Epoch", "input", { type: "range", min: 0, max: 0, step: 1 });
  slider.classList.add("mmcviz-slider");
  slider.parentElement.classList.add("mmcviz-epochs");
  const epoch = make("output", "mmcviz-epoch", slider.parentElement);
  const classes = makeField(controls, "Loss of", "select");
  const panelBox = make("div", "mmcviz-panels", body);
  const legendCanvas = make("canvas", "mmcviz-canvas mmcviz-legend", body, {
    role: "img", "aria-label": "Markers of the classes, and the scale of the loss",
  });
  const pointedBox = make("div", "mmcviz-pointed", body);
  const picture = make("canvas", "mmcviz-canvas mmcviz-picture", pointedBox, { "aria-hidden": "true" });
  const caption = make("p", "mmcviz-caption", pointedBox, { "aria-live": "polite" });
  const legend = openLayer(legendCanvas);

  // ---- the state

  let film = null;
  let panels = []; // one a reel: {canvas, context, title, words, side, ratio}
  let step = 0;
  let label = 0;
  let image = -1;
  let glide = null; // {from, share}: the points are on their way from another epoch
  let playing = 0; // id of the timer or animation frame, or 0
  const maps = new Map(); // drawn maps, by panel, epoch, class and look

  const inRange = (value, low, high) => Math.min(Math.max(value ?? low, low), high);

  // ---- from state to screen

  function buildPanels() {
    panels = film.reels.map((reel) => {
      const box = make("section", "mmcviz-panel", null, { "aria-label": reel.title });
      const head = make("p", "mmcviz-title", box);
      make("strong", "", head).textContent = reel.title;
      const words = make("span", "mmcviz-words", head);
      const canvas = make("canvas", "mmcviz-canvas mmcviz-plane", box, { role: "img", tabindex: 0 });
      const panel = { reel, box, words, canvas, context: canvas.getContext("2d"), ticks: openLayer(), side: 0, ratio: 1 };
      listen(panel);
      return panel;
    });
    panelBox.replaceChildren(...panels.map(({ box }) => box));
  }

  function arrange() {
    const width = frame.width;
    const count = panels.length;
    const columns = width >= 1240 ? Math.min(count, 4) : width >= 480 ? Math.min(count, 2) : 1;
    const highest = Math.max(0.4 * window.innerHeight, 250); // two rows and the slider in view
    const room = Math.floor((width - (columns - 1) * GAP) / columns);
    const side = columns > 1 && count > columns ? Math.min(room, highest) : Math.min(room, 420);
    panelBox.style.gridTemplateColumns = `repeat(${columns}, ${Math.floor(side)}px)`;
    for (const panel of panels) {
      panel.ratio = sizeCanvas(panel.canvas, Math.floor(side), Math.floor(side));
      panel.side = panel.canvas.width;
    }
    sizeCanvas(legendCanvas, Math.floor(Math.min(width, columns * side + (columns - 1) * GAP)), LEGEND_HEIGHT);
  }

  /** The map behind the points of a panel. */
  function mapOf(panel) {
    const { side, ratio, reel } = panel;
    const key = [film.reels.indexOf(reel), step, label, side, frame.colours.dark].join();
    if (!maps.has(key)) {
      if (maps.size >= 4 * film.frames * film.reels.length) maps.clear();
      const map = document.createElement("canvas");
      map.width = map.height = side;
      const place = placer(panel);
      const places = film.class_names.map((_, k) => [place.placeX(k), place.placeY(k)]);
      film.labels.forEach((own, i) => { if (own === label) places.push([place.x(i), place.y(i)]); });
      const grid = gridOf(film, reel, step, label);
      paintLossMap(map.getContext("2d"), side, grid, film, places, frame.colours, ratio);
      maps.set(key, map);
    }
    return maps.get(key);
  }

  /** Where a reel's features are in pixels of its panel, on their way if they are. */
  function placer({ reel, side }) {
    const [left, right, , top] = reel.extent;
    const scale = side / (right - left);
    const at = (values, count, i, axis) => {
      const now = values[2 * (step * count + i) + axis];
      if (!glide) return now;
      const before = values[2 * (glide.from * count + i) + axis];
      return before + glide.share * (now - before);
    };
    const inside = (pixel) => Math.min(Math.max(pixel, 0), side);
    return {
      x: (i) => inside(scale * (at(reel.features, film.count, i, 0) - left)),
      y: (i) => inside(scale * (top - at(reel.features, film.count, i, 1))),
      placeX: (k) => scale * (at(reel.places, film.classes, k, 0) - left),
      placeY: (k) => scale * (top - at(reel.places, film.classes, k, 1)),
    };
  }

  function paintPanel(panel) {
    const { canvas, context, side, ratio, reel } = panel;
    const { colours } = frame;
    context.clearRect(0, 0, side, side);
    context.drawImage(mapOf(panel), 0, 0);
    const place = placer(panel);
    panel.place = place;
    const predicted = reel.predicted.subarray(step * film.count, (step + 1) * film.count);
    paintPoints(context, film.count, {
      x: place.x, y: place.y, label: (i) => film.labels[i], colours, radius: 3.4 * ratio,
      crossed: (i) => predicted[i] !== film.labels[i],
    });
    for (let k = 0; k < film.classes; k++) paintPlace(context, place, k, ratio, colours);
    if (image >= 0) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 2.5 * ratio;
      context.beginPath();
      context.arc(place.x(image), place.y(image), 9 * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
    panel.ticks.renew(canvas, [], colours, (layer) => paintTicks(layer, panel, colours));
    context.drawImage(panel.ticks.canvas, 0, 0);
  }

  function draw() {
    for (const panel of panels) paintPanel(panel);
  }

  frame.onPaint(() => {
    if (!film) return false;
    arrange();
    draw();
    const { colours } = frame;
    legend.renew(legendCanvas, [film.number], colours, (context) =>
      paintFilmLegend(context, film, legendCanvas.width, colours, panels[0].ratio));
    describe();
    return true;
  });

  const classWords = () => (label < 0 ? "the nearest class" : `class ${film.class_names[label]}`);

  function describe() {
    const last = film.epochs.at(-1);
    slider.value = step;
    epoch.value = film.epochs[step];
    slider.setAttribute("aria-valuetext", `epoch ${film.epochs[step]} of ${last}`);
    classes.value = label;
    const parts = film.reels.map((reel, r) => {
      const row = reel.rows[step];
      panels[r].words.textContent = `${row.right} of ${row.images} right`;
      const beyond = row.outside === 1 ? "1 feature lies" : `${row.outside} features lie`;
      const outside = row.outside ? `; ${beyond} outside and ${row.outside === 1 ? "is" : "are"} drawn at the edge` : "";
      panels[r].canvas.setAttribute(
        "aria-label",
        `${reel.title}, epoch ${film.epochs[step]}: features over the contours of the loss of `
          + `${classWords()}. ${row.right} of ${row.images} right${outside}.`,
      );
      return `${reel.title} ${row.right} right, median loss ${two(row.median_loss)}, `
        + `scatter ${two(row.scatter)}`;
    });
    frame.say(`Epoch ${film.epochs[step]} of ${last}, ${film.count} test images: ${parts.join("; ")}.`);
    caption.textContent = image < 0 ? HINT : writeImage();
    caption.classList.toggle("mmcviz-hint", image < 0);
    picture.hidden = image < 0;
    if (image >= 0) {
      const { width, height, channels } = film.shape;
      sizeCanvas(picture, 56, (56 * height) / width);
      const start = image * channels * height * width;
      drawImage8(picture.getContext("2d"), film.images, start, film.shape, 0, 0, picture.width, picture.height);
    }
    Object.assign(root.dataset, { step, epoch: film.epochs[step], label, image });
  }

  function writeImage() {
    const sees = film.reels.map((reel) => {
      const at = step * film.count + image;
      return `${reel.title} sees ${film.class_names[reel.predicted[at]]}, `
        + `loss ${two(reel.losses[at])}`;
    });
    return `Image ${image}, class ${film.class_names[film.labels[image]]}. ${sees.join("; ")}.`;
  }

  frame.table(() => ({
    head: ["loss", "epoch", "right", "median loss", "scatter", "stretch", "away", "outside"],
    rows: film.rows.map((row) => [
      row.title, row.epoch, row.right, two(row.median_loss), two(row.scatter),
      two(row.stretch), two(row.away), row.outside,
    ]),
  }));

  // ---- playing

  function start() {
    if (!film) return;
    if (step === film.frames - 1) show({ step: 0 });
    play.textContent = "❚❚ Pause";
    root.dataset.playing = true;
    playing = setTimeout(next, HOLD / 2);
  }

  function pause() {
    clearTimeout(playing);
    cancelAnimationFrame(playing);
    playing = 0;
    glide = null;
    play.textContent = "▶ Play";
    root.dataset.playing = false;
  }

  function next() {
    if (!root.isConnected || step === film.frames - 1) {
      pause();
      return;
    }
    if (!mayAnimate()) {
      show({ step: step + 1 });
      playing = setTimeout(next, 1.5 * HOLD);
      return;
    }
    const began = performance.now();
    glide = { from: step, share: 0 };
    show({ step: step + 1 });
    const move = () => {
      const share = (performance.now() - began) / GLIDE;
      if (share >= 1) {
        glide = null;
        draw();
        playing = setTimeout(next, HOLD - GLIDE);
        return;
      }
      glide.share = share * share * (3 - 2 * share);
      draw();
      playing = requestAnimationFrame(move);
    };
    playing = requestAnimationFrame(move);
  }
  frame.onDispose(pause);

  // ---- from the reader

  /** Show something else: first the picture, then the kernel. */
  function show(changes, since = performance.now()) {
    ({ step, label, image } = { step, label, image, ...changes });
    frame.paint(since);
    frame.tell(changes);
  }

  slider.addEventListener("input", () => {
    if (!film) return;
    pause();
    show({ step: Number(slider.value) }, frame.since());
  });
  classes.addEventListener("change", () => show({ label: Number(classes.value) }));

  function listen(panel) {
    const { canvas } = panel;
    canvas.addEventListener("pointermove", (event) => {
      if (!panel.place || glide) return;
      const [x, y] = [event.offsetX * panel.ratio, event.offsetY * panel.ratio];
      let nearest = { away: 12 * panel.ratio, i: -1 };
      for (let i = 0; i < film.count; i++) {
        const away = Math.hypot(panel.place.x(i) - x, panel.place.y(i) - y);
        if (away < nearest.away) nearest = { away, i };
      }
      if (nearest.i !== image) show({ image: nearest.i });
    });
    canvas.addEventListener("pointerleave", () => { if (image >= 0) show({ image: -1 }); });
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey) return;
      const through = { "[": -1, "]": 1, p: -1, n: 1 }[event.key];
      const along = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!through && !along) return;
      event.preventDefault();
      if (along) {
        pause();
        show({ step: inRange(step + along, 0, film.frames - 1) }, frame.since());
      } else show({ image: (image + through + film.count) % film.count }, frame.since());
    });
  }

  // ---- from the model

  function take() {
    if (!film) return;
    step = inRange(model.get("step"), 0, film.frames - 1);
    label = inRange(model.get("label"), -1, film.classes - 1);
    image = inRange(model.get("image"), -1, film.count - 1);
    frame.paint();
  }
  for (const trait of ["step", "label", "image"]) {
    frame.listen(`change:${trait}`, () => {
      const now = { step, label, image };
      if (film && model.get(trait) !== now[trait]) take();
    });
  }

  let newest = 0;
  async function load() {
    const bytes = asBytes(model.get("film"));
    const request = ++newest;
    if (!bytes.length) return;
    try {
      const found = await unpackFilm(bytes);
      if (request !== newest) return;
      film = { ...found, number: request };
    } catch (error) {
      frame.fail(`This film cannot be shown (${error.message}). Run the cell again.`);
      return;
    }
    maps.clear();
    slider.max = film.frames - 1;
    const options = film.class_names.map((name, k) => new Option(`class ${name}`, k));
    classes.replaceChildren(...options, new Option("the nearest class", -1));
    buildPanels();
    take();
  }
  frame.listen("change:film", load);
  load();
  return () => {
    newest++; // an answer that is still to come finds nobody
    frame.dispose();
  };
}

export default { render };
