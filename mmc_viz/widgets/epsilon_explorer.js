// The epsilon explorer: grids of attacked images, a menu of attacks and a slider for the budget.
//
// Python sends everything once (mmc_viz/bundles.py describes the bytes); from then on a move of the
// slider is looked up and drawn here, so it needs no kernel. The same file runs in two hosts:
// JupyterLab through anywidget, and an offline page that passes a model of its own with
// get/set/on/off/save_changes.
//
// Two steps lead from an event to the screen: `show` decides which run and step it is to be, `draw`
// paints them. Telling the kernel comes after the painting, and may fail: there may be no kernel.

const SIDE_BY_SIDE = 640; // width in CSS pixels from which two panels stand beside each other
const PANEL_GAP = 28;
const LABELS_UP_TO = 64; // with more images than this the grid would become too tall for labels
const SMALLEST_FONT = 10.5; // of a label, in CSS pixels
const SCREEN_SHARE = 0.66; // of the window's height that a grid may take
const GAINS = [1, 2, 5, 10, 20, 50, 100];
const HINT = "Point at an image, or go to a grid with Tab and use the arrow keys.";

// ---- bytes ---------------------------------------------------------------------------------------

/** The bytes of a trait: a DataView in Jupyter, an array or a buffer in other hosts. */
function asBytes(value) {
  if (!value) return new Uint8Array(0);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    throw new Error("the bytes are damaged"); // the browser's own words name a failed download
  }
}

/** Undo mmc_viz.bundles.pack: a list of runs, each with all that is needed to draw it. */
async function unpack(bytes) {
  const block = await inflate(bytes);
  const length = new DataView(block.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(block.subarray(4, 4 + length)));
  if (header.format !== 1) throw new Error(`format ${header.format} is not known here`);
  const payload = block.subarray(4 + Math.ceil(length / 4) * 4);
  const { count, channels, height, width } = header.shape;
  const pixels = channels * height * width;
  const names = header.class_names;
  return header.runs.map(({ name, epsilons, panels }) => {
    const steps = epsilons.length;
    const unpacked = panels.map((panel) => {
      const images = payload.subarray(panel.offset, panel.offset + steps * count * pixels);
      if (images.length !== steps * count * pixels) throw new Error("images are missing");
      for (let n = 0; n < count; n++) {
        const end = (n + 1) * steps * pixels;
        // a Uint8Array keeps sums modulo 256, as the packing did
        for (let i = n * steps * pixels + pixels; i < end; i++) images[i] += images[i - pixels];
      }
      const since = header.labels.map((_, n) => panel.success.findIndex((step) => step[n]));
      return { ...panel, images, since };
    });
    return { name, epsilons, panels: unpacked, labels: header.labels, names, ...header.shape };
  });
}

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

/** The same sentence as EpsilonExplorer.sentences in Python. */
function writeSentence(panel, count, step) {
  const right = panel.right[step];
  const percent = Math.floor((200 * right + count) / (2 * count));
  return `${panel.title}: ${right} of ${count} still right (${percent} %).`;
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

// ---- geometry ------------------------------------------------------------------------------------

/** As square a grid as leaves few cells empty: 30 images make 6 columns, 64 make 8. */
function preferredColumns(count) {
  let best = Math.ceil(Math.sqrt(count));
  for (let c = best; c <= Math.sqrt(1.6 * count); c++) {
    if (Math.ceil(count / c) * c < Math.ceil(count / best) * best) best = c;
  }
  return best;
}

/**
 * Where everything stands in a canvas of this width, in device pixels. There are as many columns as
 * leave room for the longest class name below an image; where that would be far too few, the names
 * are left to the caption. On a low screen the images shrink, so that slider and grid are in view
 * together.
 */
function planGrid(run, panelWidth, ratio, context, family) {
  context.font = `600 100px ${family}`;
  const longest = Math.max(...run.names.map((name) => context.measureText(`→ ${name}`).width));
  const perPixel = longest / 100; // width of the longest label for each pixel of its font size
  const preferred = preferredColumns(run.count);
  const narrowest = Math.min(Math.max(SMALLEST_FONT * perPixel + 4, 52), 96);
  const fitting = Math.max(1, Math.floor(panelWidth / narrowest));
  const labelled = run.count <= LABELS_UP_TO && fitting >= 0.6 * preferred;
  const most = labelled ? fitting : Math.max(1, Math.floor(panelWidth / 30));
  const rows = Math.ceil(run.count / Math.min(preferred, most));
  const columns = Math.ceil(run.count / rows);

  const cell = Math.floor((panelWidth * ratio) / columns);
  const pad = Math.round((labelled ? 6 : 4) * ratio);
  const font = Math.min(Math.max((cell - 4 * ratio) / perPixel, SMALLEST_FONT * ratio), 14 * ratio);
  const labelHeight = labelled ? Math.round(1.25 * font + 4 * ratio) : 0;
  const share = (Math.max(SCREEN_SHARE * window.innerHeight, 320) * ratio) / rows;
  const highest = Math.max(share - labelHeight - 2 * pad, 44 * ratio);
  const widest = Math.max(8, Math.min(cell - 2 * pad, (highest * run.width) / run.height));
  // Whole multiples keep all pixels of an image equally large; take one unless it wastes much room.
  const multiple = Math.floor(widest / run.width) * run.width;
  const width = multiple >= 0.75 * widest ? multiple : Math.floor(widest);
  const height = Math.round((width * run.height) / run.width);
  const pitch = height + 2 * pad + labelHeight;
  const left = Math.floor((panelWidth * ratio - columns * cell) / 2);
  const fit = (label, weight) => {
    context.font = `${weight} ${font}px ${family}`;
    if (context.measureText(label).width <= cell - 2) return label;
    let end = label.length;
    while (end > 1 && context.measureText(`${label.slice(0, end)}…`).width > cell - 2) end--;
    return `${label.slice(0, end)}…`;
  };
  return {
    columns,
    rows,
    width,
    height,
    font,
    labelled,
    ratio,
    canvasWidth: Math.floor(panelWidth * ratio),
    canvasHeight: rows * pitch,
    rightLabels: run.names.map((name) => fit(name, 400)),
    wrongLabels: run.names.map((name) => fit(`→ ${name}`, 600)),
    earlierLabel: fit("✕ earlier", 600),
    // corner of image n
    x: (n) => left + (n % columns) * cell + Math.round((cell - width) / 2),
    y: (n) => Math.floor(n / columns) * pitch + pad,
    // image under a point, or -1
    at: (x, y) => {
      const column = Math.floor((x - left) / cell);
      const n = Math.floor(y / pitch) * columns + column;
      return column >= 0 && column < columns && n >= 0 && n < run.count ? n : -1;
    },
  };
}

// ---- painting ------------------------------------------------------------------------------------

/** Fill the atlas, one small canvas with all images of a step at their own resolution. */
function fillAtlas(view, run, panel, step, gain) {
  const { columns, rows } = view.plan;
  const { count, channels, height, width } = run;
  const steps = run.epsilons.length;
  const stride = columns * width;
  if (!view.pixels || view.pixels.width !== stride || view.pixels.height !== rows * height) {
    view.atlas.width = stride;
    view.atlas.height = rows * height;
    view.pixels = view.atlasContext.createImageData(stride, rows * height);
  }
  const target = new Uint32Array(view.pixels.data.buffer);
  target.fill(0); // transparent, for cells without an image
  const plane = height * width;
  const { images } = panel;
  const green = channels >= 3 ? plane : 0;
  const blue = channels >= 3 ? 2 * plane : 0;
  for (let n = 0; n < count; n++) {
    const clean = n * steps * channels * plane;
    let from = clean + step * channels * plane;
    const toClean = clean - from;
    const corner = Math.floor(n / columns) * height * stride + (n % columns) * width;
    for (let y = 0; y < height; y++) {
      let to = corner + y * stride;
      for (let x = 0; x < width; x++, from++, to++) {
        let r = images[from];
        let g = images[from + green];
        let b = images[from + blue];
        if (gain) {
          r = 128 + gain * (r - images[from + toClean]);
          g = 128 + gain * (g - images[from + green + toClean]);
          b = 128 + gain * (b - images[from + blue + toClean]);
        }
        target[to] = 0xff000000 | (b << 16) | (g << 8) | r; // little-endian RGBA
      }
    }
  }
  view.atlasContext.putImageData(view.pixels, 0, 0);
}

function paint(view, run, panel, step, { gain, colours, family, pointed }) {
  const { plan, context } = view;
  const { ratio, width, height, font } = plan;
  fillAtlas(view, run, panel, step, gain);
  context.clearRect(0, 0, plan.canvasWidth, plan.canvasHeight);
  context.imageSmoothingEnabled = false;
  const success = panel.success[step];
  const predictions = panel.predictions[step];
  for (let n = 0; n < run.count; n++) {
    const sx = (n % plan.columns) * run.width;
    const sy = Math.floor(n / plan.columns) * run.height;
    context.drawImage(
      view.atlas, sx, sy, run.width, run.height, plan.x(n), plan.y(n), width, height,
    );
  }
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  // All that share a style are drawn in one go: changing the font costs more than drawing with it.
  for (const wrong of [0, 1]) {
    const thick = Math.round((wrong ? 4 : 2) * (plan.labelled ? 1 : 0.75) * ratio);
    context.lineWidth = thick;
    context.strokeStyle = wrong ? colours.wrong : colours.right;
    context.fillStyle = wrong ? colours.wrongText : colours.ink;
    context.font = `${wrong ? 600 : 400} ${font}px ${family}`;
    context.beginPath();
    for (let n = 0; n < run.count; n++) {
      if (success[n] !== wrong) continue;
      const x = plan.x(n);
      const y = plan.y(n);
      context.rect(x - thick / 2, y - thick / 2, width + thick, height + thick);
      if (!plan.labelled) continue;
      let label = plan.rightLabels[predictions[n]];
      // A path that attacks again at each epsilon may lose an image that it had fooled before.
      if (wrong) {
        const regained = predictions[n] === run.labels[n];
        label = regained ? plan.earlierLabel : plan.wrongLabels[predictions[n]];
      }
      context.fillText(label, x + width / 2, y + height + 6 * ratio + 0.95 * font);
    }
    context.stroke();
  }
  // The second cue beside colour: a cross in the corner of each image that the model gets wrong.
  const badge = Math.max(Math.round(width * 0.22), Math.round(10 * ratio));
  context.fillStyle = colours.wrong;
  context.beginPath();
  for (let n = 0; n < run.count; n++) {
    if (success[n]) context.rect(plan.x(n) + width - badge, plan.y(n), badge, badge);
  }
  context.fill();
  const arm = badge * 0.26;
  context.strokeStyle = "#fff";
  context.lineWidth = Math.max(1.5 * ratio, badge * 0.13);
  context.beginPath();
  for (let n = 0; n < run.count; n++) {
    if (!success[n]) continue;
    const x = plan.x(n) + width - badge / 2;
    const y = plan.y(n) + badge / 2;
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
  }
  context.stroke();
  if (pointed >= 0) {
    const off = Math.round(4.5 * ratio);
    context.strokeStyle = colours.ink;
    context.lineWidth = Math.max(1, Math.round(1.5 * ratio));
    context.setLineDash([4 * ratio, 3 * ratio]);
    context.strokeRect(
      plan.x(pointed) - off, plan.y(pointed) - off, width + 2 * off, height + 2 * off,
    );
    context.setLineDash([]);
  }
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

function make(tag, className, parent, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

/** All that stays the same whatever is shown; the panels come with the first bundle. */
function buildPage(el) {
  const root = make("div", "mmcviz-explorer", null, { "data-ready": "false" });
  const controls = make("div", "mmcviz-controls", root);

  const menu = make("label", "mmcviz-field", controls);
  make("span", "mmcviz-name", menu).textContent = "Attacker’s objective";
  const select = make("select", "mmcviz-run", menu);

  const toggle = make("label", "mmcviz-field mmcviz-toggle", controls);
  const checkbox = make("input", "mmcviz-perturbation", toggle, { type: "checkbox" });
  make("span", "", toggle).textContent = "show the perturbation";
  const gain = make("span", "mmcviz-gain", toggle);

  const legend = make("div", "mmcviz-legend", controls, { "aria-hidden": "true" });
  make("span", "mmcviz-swatch", legend);
  make("span", "", legend).textContent = "still right";
  make("span", "mmcviz-swatch mmcviz-crossed", legend).textContent = "✕";
  make("span", "", legend).textContent = "fooled → what the model sees";

  const budget = make("label", "mmcviz-budget", root);
  make("span", "mmcviz-name", budget).textContent = "Attacker’s budget";
  const slider = make("input", "mmcviz-slider", budget, {
    type: "range", min: 0, max: 0, step: 1, value: 0,
  });
  const readout = make("span", "mmcviz-readout", budget, { "aria-hidden": "true" });
  const epsilon = make("span", "mmcviz-epsilon", readout);
  const grey = make("span", "mmcviz-grey", readout);

  const panels = make("div", "mmcviz-panels", root);
  const caption = make("p", "mmcviz-caption", root, { "aria-live": "polite" });
  caption.textContent = HINT;
  const message = make("p", "mmcviz-message", root, { role: "alert", hidden: "" });
  el.append(root);
  return {
    root, select, checkbox, gain, slider, epsilon, grey, panels, caption, message,
  };
}

function buildPanel(parent) {
  const element = make("section", "mmcviz-panel", parent);
  const title = make("p", "mmcviz-title", element, { "aria-hidden": "true" });
  const bar = make("div", "mmcviz-bar", element, { "aria-hidden": "true" });
  const share = make("div", "mmcviz-share", bar);
  const canvas = make("canvas", "mmcviz-canvas", element, { role: "img", tabindex: 0 });
  const sentence = make("p", "mmcviz-sentence", element, { "aria-live": "polite" });
  const atlas = document.createElement("canvas");
  return {
    element, title, share, canvas, sentence, atlas,
    context: canvas.getContext("2d"),
    atlasContext: atlas.getContext("2d", { willReadFrequently: true }),
  };
}

/** Read the colours that the style sheet and the host's theme give; they are the host's to choose. */
function readColours(root) {
  const style = getComputedStyle(root); // live: what is read below follows data-theme
  const ink = style.color;
  // Whatever makes a page dark, its text is then light: so the text tells, in any host.
  const [r, g, b] = ink.match(/[\d.]+/g).map(Number);
  const dark = 0.299 * r + 0.587 * g + 0.114 * b > 128;
  root.dataset.theme = dark ? "dark" : "light";
  const read = (name) => style.getPropertyValue(name).trim();
  return {
    ink,
    right: read("--mmcviz-right"),
    wrong: read("--mmcviz-wrong"),
    wrongText: read("--mmcviz-wrong-text"),
    family: style.fontFamily,
  };
}

function render({ model, el }) {
  const page = buildPage(el);
  const { root, select, slider, checkbox } = page;
  const bundles = { bundle: [], live: [] }; // trait to its runs
  const decoding = { bundle: 0, live: 0 }; // number of the newest request, to drop late answers
  const problems = { bundle: "", live: "" };
  let views = [];
  let run = null; // what is on screen
  let step = 0;
  let pointed = -1; // image under the pointer or the keyboard's cursor
  let colours = null; // read as soon as the host has put the element into the page
  let stale = true; // whether the canvases lag behind run and step
  let pressed = -Infinity; // when the last key went down

  const allRuns = () => [...bundles.bundle, ...bundles.live];

  // -- from state to screen

  /** Adapt canvases to the width of the page. Returns whether there is anything to draw on. */
  function arrange() {
    const available = page.panels.clientWidth;
    if (!run || available < 1) return false; // not in the page yet, or hidden for now
    colours ??= readColours(root);
    const beside = available < SIDE_BY_SIDE ? 1 : Math.floor(available / (SIDE_BY_SIDE / 2));
    const perRow = Math.min(run.panels.length, beside);
    const panelWidth = Math.floor((available - (perRow - 1) * PANEL_GAP) / perRow);
    const ratio = window.devicePixelRatio || 1;
    const key = [panelWidth, ratio, perRow, run.count, run.height, run.width, colours.family,
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
      view.plan = planGrid(run, panelWidth, ratio, view.context, colours.family);
      const { canvasWidth, canvasHeight } = view.plan;
      view.canvas.width = canvasWidth;
      view.canvas.height = canvasHeight;
      view.canvas.style.width = `${canvasWidth / ratio}px`;
      view.canvas.style.height = `${canvasHeight / ratio}px`;
    }
    return true;
  }

  function draw() {
    stale = !arrange();
    if (stale) return; // the ResizeObserver calls again when there is room
    const gain = checkbox.checked ? chooseGain(run, step) : 0;
    run.panels.forEach((panel, i) => {
      paint(views[i], run, panel, step, { gain, colours, family: colours.family, pointed });
    });
  }

  /** Bring all words in line with what is drawn. */
  function describe() {
    const epsilon = `ε = ${writeEpsilon(run, step)}`;
    const grey = writeGreyLevels(run.epsilons[step]);
    page.epsilon.textContent = epsilon;
    page.grey.textContent = grey;
    slider.value = step;
    slider.setAttribute("aria-valuetext", grey ? `${epsilon}, ${grey}` : epsilon);
    select.value = run.name;
    const gain = checkbox.checked ? chooseGain(run, step) : 0;
    page.gain.textContent = gain ? `× ${gain}` : "";
    run.panels.forEach((panel, i) => {
      const view = views[i];
      if (!view) return;
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

  /** Paint at once; `since` is when the event began that asked for it. */
  function repaint(since = performance.now()) {
    if (!run) return;
    draw();
    describe();
    root.dataset.drawMs = (performance.now() - since).toFixed(3);
    if (!stale) root.dataset.ready = "true";
  }

  /** Take run and step from the model, as far as they can be shown. */
  function show(since) {
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
    repaint(since);
  }

  /** Tell the kernel, if there is one. The view goes on alone where there is none. */
  function tell(changes) {
    try {
      for (const [name, value] of Object.entries(changes)) model.set(name, value);
      model.save_changes();
    } catch {
      // nothing to do: what is shown does not depend on it
    }
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
    } else if (trait === "bundle") {
      problem = "There are no results to show. Run the cell again.";
    }
    if (request !== decoding[trait]) return;
    bundles[trait] = runs;
    problems[trait] = problem;
    page.message.textContent = problems.bundle || problems.live;
    page.message.hidden = !page.message.textContent;
    if (!allRuns().length && problems.bundle) root.dataset.ready = "error";
    const names = [...new Set(allRuns().map(({ name }) => name))];
    select.replaceChildren(
      ...names.map((name) => {
        const option = document.createElement("option");
        option.value = name;
        option.textContent = name;
        return option;
      }),
    );
    if (run) select.value = run.name;
    show();
  }

  const events = {
    "change:bundle": () => load("bundle"),
    "change:live": () => load("live"),
    "change:run": () => show(),
    "change:step": () => show(),
  };
  for (const [name, handler] of Object.entries(events)) model.on(name, handler);

  // -- from the reader

  /** Move to a run and step: first the picture, then the kernel. */
  function choose(nextRun, nextStep, since) {
    if (nextRun !== run) slider.max = nextRun.epsilons.length - 1;
    run = nextRun;
    step = nextStep;
    repaint(since);
    tell({ run: run.name, step });
  }

  slider.addEventListener("input", () => {
    const now = performance.now();
    // a key press counts from when the key went down
    if (run) choose(run, Number(slider.value), now - pressed < 100 ? pressed : now);
    pressed = -Infinity;
  });

  select.addEventListener("change", () => {
    const since = performance.now();
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

  checkbox.addEventListener("change", () => repaint());

  root.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  // JupyterLab binds plain keys to cells (arrows select, D D deletes): those meant for the controls
  // end here. Keys with Ctrl, and Shift+Enter, still reach it.
  root.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && !["Enter", "Escape", "Tab"].includes(event.key)) event.stopPropagation();
  });

  function point(n) {
    if (n === pointed) return;
    pointed = n;
    repaint();
  }

  function listenToCanvas(view) {
    const { canvas } = view;
    canvas.addEventListener("pointermove", (event) => {
      const { ratio } = view.plan;
      point(view.plan.at(event.offsetX * ratio, event.offsetY * ratio));
    });
    canvas.addEventListener("pointerleave", () => point(-1));
    canvas.addEventListener("blur", () => point(-1));
    canvas.addEventListener("focus", () => {
      if (canvas.matches(":focus-visible")) point(Math.max(pointed, 0));
    });
    canvas.addEventListener("keydown", (event) => {
      const moves = {
        ArrowLeft: -1, ArrowRight: 1, ArrowUp: -view.plan.columns, ArrowDown: view.plan.columns,
      };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const n = Math.max(pointed, 0) + moves[event.key];
      if (n >= 0 && n < run.count) point(n);
    });
  }

  // -- from the page

  const resized = new ResizeObserver(() => {
    if (!run || page.panels.clientWidth < 1) return;
    const keys = () => views.map((view) => view.key).join();
    const before = keys();
    if (arrange() && (stale || before !== keys())) repaint();
  });
  resized.observe(page.panels);
  // What was due while the cell was out of sight is made up for when it comes back, at its old size.
  const seen = new IntersectionObserver(() => { if (stale && arrange()) repaint(); });
  seen.observe(root);

  function recolour() {
    if (!colours) return; // not drawn yet
    const next = readColours(root);
    // While a host swaps its style sheets the page may have no width, and the repaint is still due.
    if (JSON.stringify(next) === JSON.stringify(colours) && !stale) return;
    colours = next;
    repaint();
  }
  const delays = new Set();
  /** Hosts announce a theme before or after its style sheet has loaded: look now and once more. */
  function themeMayHaveChanged() {
    recolour();
    const delay = setTimeout(() => { delays.delete(delay); recolour(); }, 300);
    delays.add(delay);
  }
  const themes = new MutationObserver(themeMayHaveChanged);
  for (const element of [document.documentElement, document.body]) {
    themes.observe(element, {
      attributeFilter: ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-theme"],
    });
  }
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", themeMayHaveChanged);

  load("bundle");
  load("live");

  return () => {
    resized.disconnect();
    seen.disconnect();
    themes.disconnect();
    scheme.removeEventListener("change", themeMayHaveChanged);
    delays.forEach(clearTimeout);
    for (const [name, handler] of Object.entries(events)) model.off?.(name, handler);
    decoding.bundle++; // an answer that is still to come finds nobody
    decoding.live++;
    root.remove();
  };
}

export default { render };
