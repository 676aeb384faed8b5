// The canvas of all widgets: grids of images, moving points, heat maps, and what turns in space.
//
// Everything is drawn in device pixels, so that an image's pixels stay sharp on any screen.

const LABELS_UP_TO = 64; // with more images than this a grid would become too tall for labels
const SMALLEST_FONT = 10.5; // of a label, in CSS pixels
const SCREEN_SHARE = 0.66; // of the window's height that a grid may take

/** Give a canvas a size in CSS pixels; returns its device pixels for each of them. */
export function sizeCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${w / ratio}px`;
    canvas.style.height = `${h / ratio}px`;
  }
  return ratio;
}

/**
 * A picture that is kept from one paint to the next: `renew` lets `paint(context)` draw it again only
 * where its key, its size (zooming alone changes that in one unit only) or the colours have changed.
 */
export function openLayer(canvas = document.createElement("canvas")) {
  let [drawn, drawnIn] = ["", null];
  return {
    canvas,
    renew({ width, height }, key, colours, paint) {
      const wanted = [width, height, window.devicePixelRatio, ...key].join();
      if (wanted === drawn && colours === drawnIn) return;
      [drawn, drawnIn] = [wanted, colours];
      canvas.width = width;
      canvas.height = height;
      paint(canvas.getContext("2d"));
    },
  };
}

// ---- grids of images -----------------------------------------------------------------------------
// A grid is {count, channels, height, width, names}: how many images of what shape, and the names
// of their classes, for labels.

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
export function planGrid(grid, panelWidth, ratio, context, family, { share = SCREEN_SHARE } = {}) {
  context.font = `600 100px ${family}`;
  const longest = Math.max(...grid.names.map((name) => context.measureText(`→ ${name}`).width));
  const perPixel = longest / 100; // width of the longest label for each pixel of its font size
  const preferred = preferredColumns(grid.count);
  const narrowest = Math.min(Math.max(SMALLEST_FONT * perPixel + 4, 52), 96);
  const fitting = Math.max(1, Math.floor(panelWidth / narrowest));
  const labelled = grid.count <= LABELS_UP_TO && fitting >= 0.6 * preferred;
  const most = labelled ? fitting : Math.max(1, Math.floor(panelWidth / 30));
  const rows = Math.ceil(grid.count / Math.min(preferred, most));
  const columns = Math.ceil(grid.count / rows);

  const cell = Math.floor((panelWidth * ratio) / columns);
  const pad = Math.round((labelled ? 6 : 4) * ratio);
  const font = Math.min(Math.max((cell - 4 * ratio) / perPixel, SMALLEST_FONT * ratio), 14 * ratio);
  const labelHeight = labelled ? Math.round(1.25 * font + 4 * ratio) : 0;
  const room = (Math.max(share * window.innerHeight, 320) * ratio) / rows;
  const highest = Math.max(room - labelHeight - 2 * pad, 44 * ratio);
  const widest = Math.max(8, Math.min(cell - 2 * pad, (highest * grid.width) / grid.height));
  // Whole multiples keep all pixels of an image equally large; take one unless it wastes much room.
  const multiple = Math.floor(widest / grid.width) * grid.width;
  const width = multiple >= 0.75 * widest ? multiple : Math.floor(widest);
  const height = Math.round((width * grid.height) / grid.width);
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
    rightLabels: grid.names.map((name) => fit(name, 400)),
    wrongLabels: grid.names.map((name) => fit(`→ ${name}`, 600)),
    fit,
    // corner of image n
    x: (n) => left + (n % columns) * cell + Math.round((cell - width) / 2),
    y: (n) => Math.floor(n / columns) * pitch + pad,
    // image under a point, or -1
    at: (x, y) => {
      const column = Math.floor((x - left) / cell);
      const n = Math.floor(y / pitch) * columns + column;
      return column >= 0 && column < columns && n >= 0 && n < grid.count ? n : -1;
    },
  };
}

/** Image under the keyboard's cursor after an arrow key; the same one where there is no other. */
function moveInGrid(plan, count, n, key) {
  const moves = {
    ArrowLeft: -1, ArrowRight: 1, ArrowUp: -plan.columns, ArrowDown: plan.columns,
  };
  const next = Math.max(n, 0) + (moves[key] ?? 0);
  return next >= 0 && next < count ? next : n;
}

/**
 * Let pointer and keyboard point at images of a grid. `point(n)` is told which, -1 for none;
 * `pointed()` and `count()` say what is pointed at, and how many images there are.
 */
export function listenToGrid(view, { point, pointed, count }) {
  const { canvas } = view;
  canvas.addEventListener("pointermove", (event) => {
    const { ratio } = view.plan;
    point(view.plan.at(event.offsetX * ratio, event.offsetY * ratio));
  });
  canvas.addEventListener("pointerleave", () => point(-1));
  canvas.addEventListener("blur", () => point(-1));
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible")) point(Math.max(pointed(), 0));
  });
  canvas.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    point(moveInGrid(view.plan, count(), pointed(), event.key));
  });
}

/** A canvas for a grid, and a small one behind it with all images at their own resolution. */
export function openGrid(canvas) {
  const atlas = document.createElement("canvas");
  return {
    canvas,
    context: canvas.getContext("2d"),
    atlas,
    atlasContext: atlas.getContext("2d", { willReadFrequently: true }),
    plan: null,
    pixels: null,
  };
}

/** Give the canvas of a grid the size of its plan. */
export function sizeGrid(view, plan) {
  view.plan = plan;
  view.canvas.width = plan.canvasWidth;
  view.canvas.height = plan.canvasHeight;
  view.canvas.style.width = `${plan.canvasWidth / plan.ratio}px`;
  view.canvas.style.height = `${plan.canvasHeight / plan.ratio}px`;
}

/**
 * Fill the atlas. `start(n)` is where image n begins in `images`; with a gain, what is drawn is
 * mid-grey plus the gain times the difference from the image that begins at `clean(n)`.
 */
export function fillAtlas(view, grid, images, start, { gain = 0, clean = start } = {}) {
  const { columns, rows } = view.plan;
  const { count, channels, height, width } = grid;
  const stride = columns * width;
  if (!view.pixels || view.pixels.width !== stride || view.pixels.height !== rows * height) {
    view.atlas.width = stride;
    view.atlas.height = rows * height;
    view.pixels = view.atlasContext.createImageData(stride, rows * height);
  }
  const target = new Uint32Array(view.pixels.data.buffer);
  target.fill(0); // transparent, for cells without an image
  const plane = height * width;
  const green = channels >= 3 ? plane : 0;
  const blue = channels >= 3 ? 2 * plane : 0;
  for (let n = 0; n < count; n++) {
    let from = start(n);
    const toClean = clean(n) - from;
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

/**
 * Draw the atlas into the grid, each image with its frame and label. `wrong(n)` says whether image
 * n is fooled, `label(n)` what stands below it, `pointed` which one is pointed at, or -1.
 */
export function paintGrid(view, grid, { wrong, label, pointed = -1, colours }) {
  const { plan, context } = view;
  const { ratio, width, height, font } = plan;
  const { family } = colours;
  context.clearRect(0, 0, plan.canvasWidth, plan.canvasHeight);
  context.imageSmoothingEnabled = false;
  for (let n = 0; n < grid.count; n++) {
    const sx = (n % plan.columns) * grid.width;
    const sy = Math.floor(n / plan.columns) * grid.height;
    context.drawImage(
      view.atlas, sx, sy, grid.width, grid.height, plan.x(n), plan.y(n), width, height,
    );
  }
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  // All that share a style are drawn in one go: changing the font costs more than drawing with it.
  for (const bad of [false, true]) {
    const thick = Math.round((bad ? 4 : 2) * (plan.labelled ? 1 : 0.75) * ratio);
    context.lineWidth = thick;
    context.strokeStyle = bad ? colours.wrong : colours.right;
    context.fillStyle = bad ? colours.wrongText : colours.ink;
    context.font = `${bad ? 600 : 400} ${font}px ${family}`;
    context.beginPath();
    for (let n = 0; n < grid.count; n++) {
      if (Boolean(wrong(n)) !== bad) continue;
      const x = plan.x(n);
      const y = plan.y(n);
      context.rect(x - thick / 2, y - thick / 2, width + thick, height + thick);
      if (plan.labelled) context.fillText(label(n), x + width / 2, y + height + 6 * ratio + 0.95 * font);
    }
    context.stroke();
  }
  // The second cue beside colour: a cross in the corner of each image that the model gets wrong.
  const badge = Math.max(Math.round(width * 0.22), Math.round(10 * ratio));
  context.fillStyle = colours.wrong;
  context.beginPath();
  for (let n = 0; n < grid.count; n++) {
    if (wrong(n)) context.rect(plan.x(n) + width - badge, plan.y(n), badge, badge);
  }
  context.fill();
  const arm = badge * 0.26;
  context.strokeStyle = "#fff";
  context.lineWidth = Math.max(1.5 * ratio, badge * 0.13);
  context.beginPath();
  for (let n = 0; n < grid.count; n++) {
    if (wrong(n)) traceCross(context, plan.x(n) + width - badge / 2, plan.y(n) + badge / 2, arm);
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

// ---- single pictures -----------------------------------------------------------------------------

const scratch = { canvas: null, context: null };

/** A canvas in memory of this size, reused from call to call. */
function scratchOf(width, height) {
  scratch.canvas ??= document.createElement("canvas");
  scratch.context ??= scratch.canvas.getContext("2d", { willReadFrequently: true });
  if (scratch.canvas.width !== width || scratch.canvas.height !== height) {
    scratch.canvas.width = width;
    scratch.canvas.height = height;
  }
  return scratch.context;
}

/** Draw `rgba(i)`, colours of rows x columns cells as 0xAABBGGRR, into a rectangle. */
export function drawCells(context, rows, columns, rgba, x, y, width, height, { smooth = false } = {}) {
  const small = scratchOf(columns, rows);
  const pixels = small.createImageData(columns, rows);
  const target = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < rows * columns; i++) target[i] = rgba(i);
  small.putImageData(pixels, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.drawImage(scratch.canvas, 0, 0, columns, rows, x, y, width, height);
  context.imageSmoothingEnabled = false;
}

/** Draw an image of bytes, {channels, height, width} from `start` on, into a rectangle. */
export function drawImage8(context, bytes, start, shape, x, y, width, height) {
  const plane = shape.height * shape.width;
  const green = shape.channels >= 3 ? plane : 0;
  const blue = shape.channels >= 3 ? 2 * plane : 0;
  const rgba = (i) =>
    (0xff000000 | (bytes[start + blue + i] << 16) | (bytes[start + green + i] << 8)
      | bytes[start + i]) >>> 0;
  drawCells(context, shape.height, shape.width, rgba, x, y, width, height);
}

/** "#rrggbb" or "rgb(r, g, b)" as [r, g, b]. */
export function parseColour(text) {
  if (text.startsWith("#")) {
    return [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
  }
  return text.match(/[\d.]+/g).slice(0, 3).map(Number);
}

/** A scale of colours from t = 0 to 1 through stops [r, g, b]; gives 0xAABBGGRR. */
function colourScale(stops) {
  return (t) => {
    const at = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
    const i = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = stops[i].map((from, c) => Math.round(from + (at - i) * (stops[i + 1][c] - from)));
    return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  };
}

/** Even in lightness from dark blue to yellow, for colour-blind eyes and for a grey print alike. */
export const CIVIDIS = colourScale([
  [0, 32, 76], [0, 57, 111], [67, 78, 108], [105, 103, 112], [128, 125, 117], [158, 148, 116],
  [190, 173, 107], [224, 200, 89], [255, 233, 69],
]);

// ---- points --------------------------------------------------------------------------------------

function traceCross(context, x, y, arm) {
  context.moveTo(x - arm, y - arm);
  context.lineTo(x + arm, y + arm);
  context.moveTo(x + arm, y - arm);
  context.lineTo(x - arm, y + arm);
}

function polygon(corners, turn, star = 1) {
  const count = star < 1 ? 2 * corners : corners;
  const unit = Array.from({ length: count + 1 }, (_, i) => {
    const angle = turn + (2 * Math.PI * i) / count;
    const size = 1.25 * (star < 1 && i % 2 ? star : 1);
    return [size * Math.sin(angle), -size * Math.cos(angle)];
  });
  return (context, x, y, r) => {
    context.moveTo(x + r * unit[0][0], y + r * unit[0][1]);
    for (let i = 1; i <= count; i++) context.lineTo(x + r * unit[i][0], y + r * unit[i][1]);
  };
}

/** Ten outlines, one a class, in the order of CLASS_SYMBOLS in mmc_viz/figures/style.py. */
const SHAPES = [
  (context, x, y, r) => { context.moveTo(x + r, y); context.arc(x, y, r, 0, 2 * Math.PI); },
  polygon(4, 0),
  (context, x, y, r) => context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r),
  polygon(3, 0),
  (context, x, y, r) => { // a plus sign
    context.rect(x - 1.2 * r, y - 0.4 * r, 2.4 * r, 0.8 * r);
    context.rect(x - 0.4 * r, y - 1.2 * r, 0.8 * r, 2.4 * r);
  },
  (context, x, y, r) => { // a saltire, as two bars
    for (const turn of [1, -1]) {
      const [a, b] = [1.1 * r, 0.35 * r];
      context.moveTo(x - a - b * turn, y - turn * a + b);
      context.lineTo(x - a + b * turn, y - turn * a - b);
      context.lineTo(x + a + b * turn, y + turn * a - b);
      context.lineTo(x + a - b * turn, y + turn * a + b);
      context.closePath();
    }
  },
  polygon(5, 0, 0.45),
  polygon(3, Math.PI),
  polygon(5, 0),
  (context, x, y, r) => { // an hourglass
    context.moveTo(x - r, y - r);
    context.lineTo(x + r, y - r);
    context.lineTo(x - r, y + r);
    context.lineTo(x + r, y + r);
    context.closePath();
  },
];

/** Add the outline of a class's marker to the path of a context. */
export function traceMarker(context, label, x, y, r) {
  SHAPES[label % SHAPES.length](context, x, y, r);
}

/**
 * Draw points, class by class, so that a style is set once for each.
 *
 * x(i), y(i) are device pixels, label(i) is the class; `radius` in device pixels; `alpha`, `shown(i)`
 * and `crossed(i)` (a second mark, for the fooled) are optional.
 */
export function paintPoints(
  context, count, { x, y, label, colours, radius, alpha = 1, shown = () => true, crossed = null },
) {
  const byClass = new Map();
  for (let i = 0; i < count; i++) {
    if (!shown(i)) continue;
    const own = label(i);
    if (!byClass.has(own)) byClass.set(own, []);
    byClass.get(own).push(i);
  }
  context.globalAlpha = alpha;
  for (const [own, members] of byClass) {
    context.fillStyle = colours.classes[own % colours.classes.length];
    context.beginPath();
    for (const i of members) traceMarker(context, own, x(i), y(i), radius);
    context.fill();
  }
  if (crossed) {
    context.strokeStyle = colours.ink;
    context.lineWidth = Math.max(1, radius / 3.2);
    context.beginPath();
    for (const members of byClass.values()) {
      for (const i of members) if (crossed(i)) traceCross(context, x(i), y(i), radius * 0.95);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

/**
 * A map from data to a rectangle of device pixels that keeps both axes at one scale.
 * `bounds` is {left, right, bottom, top} in the unit of the data; y grows upwards.
 */
export function fitPlane(bounds, x, y, width, height, { pad = 0.05 } = {}) {
  const spanX = Math.max(bounds.right - bounds.left, 1e-12) * (1 + 2 * pad);
  const spanY = Math.max(bounds.top - bounds.bottom, 1e-12) * (1 + 2 * pad);
  const scale = Math.min(width / spanX, height / spanY);
  const [midX, midY] = [(bounds.left + bounds.right) / 2, (bounds.bottom + bounds.top) / 2];
  return {
    scale,
    x: (value) => x + width / 2 + scale * (value - midX),
    y: (value) => y + height / 2 - scale * (value - midY),
    dataX: (pixel) => midX + (pixel - x - width / 2) / scale,
    dataY: (pixel) => midY - (pixel - y - height / 2) / scale,
  };
}

// ---- axes ----------------------------------------------------------------------------------------

/** Round numbers between two values, about `count` of them. */
export function niceTicks(low, high, count = 5) {
  const rough = (high - low) / Math.max(count, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return ticks;
}

/**
 * Draw two axes with a grid and ticks around a plot, in device pixels.
 * `scales` has x(value) and y(value); `ticks` are [value, label] pairs.
 */
export function paintAxes(
  context, { left, top, width, height, xTicks, yTicks, scales, xTitle = "", yTitle = "", colours, ratio },
) {
  const font = 13 * ratio;
  context.font = `${font}px ${colours.family}`;
  context.fillStyle = colours.ink;
  context.strokeStyle = colours.line;
  context.lineWidth = ratio;
  context.beginPath();
  for (const [value] of xTicks) {
    context.moveTo(scales.x(value), top);
    context.lineTo(scales.x(value), top + height);
  }
  for (const [value] of yTicks) {
    context.moveTo(left, scales.y(value));
    context.lineTo(left + width, scales.y(value));
  }
  context.stroke();
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const [value, label] of xTicks) context.fillText(label, scales.x(value), top + height + 5 * ratio);
  context.font = `600 ${font}px ${colours.family}`;
  if (xTitle) context.fillText(xTitle, left + width / 2, top + height + 8 * ratio + font);
  context.font = `${font}px ${colours.family}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [value, label] of yTicks) context.fillText(label, left - 6 * ratio, scales.y(value));
  if (yTitle) {
    context.font = `600 ${font}px ${colours.family}`;
    context.textAlign = "left";
    context.textBaseline = "bottom";
    context.fillText(yTitle, left, top - 5 * ratio);
  }
}

// ---- space ---------------------------------------------------------------------------------------

/** The rotation that turns by `yaw` about the upright axis and then by `pitch` towards the viewer. */
export function rotation3(yaw, pitch) {
  const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
  return [
    [cy, sy, 0],
    [sp * -sy, sp * cy, cp],
    [cp * sy, -cp * cy, sp],
  ];
}

/** Turn a point; returns [right, up, towards the viewer]. */
export function turn3(rotation, [x, y, z]) {
  return rotation.map(([a, b, c]) => a * x + b * y + c * z);
}

/** Turn it back. */
export function turnBack3(rotation, [u, v, w]) {
  return [0, 1, 2].map((i) => rotation[0][i] * u + rotation[1][i] * v + rotation[2][i] * w);
}
