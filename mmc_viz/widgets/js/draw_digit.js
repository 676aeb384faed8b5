// A field of 32 x 32 dots to draw in, and what models make of the drawing.
//
// The pen works with the mouse, a finger, or the keyboard: arrow keys move it, Space lifts and lowers it.

import { asBytes } from "./bytes.js";
import { drawCells, drawImage8, sizeCanvas } from "./canvas.js";
import { make, makeButton, openFrame } from "./page.js";

const DOTS = 32;
const PEN = 1.9; // dots from the middle of a line to its edge
const FIELD = 256; // CSS pixels
const PICTURE = 184;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function readDrawing(text) {
  const dots = new Uint8Array(DOTS * DOTS);
  for (let i = 0; i < text.length; i++) {
    const four = parseInt(text[i], 16);
    for (let k = 0; k < 4; k++) dots[4 * i + k] = (four >> (3 - k)) & 1;
  }
  return dots;
}

function writeDrawing(dots) {
  let text = "";
  for (let i = 0; i < dots.length; i += 4) {
    text += ((dots[i] << 3) | (dots[i + 1] << 2) | (dots[i + 2] << 1) | dots[i + 3]).toString(16);
  }
  return text;
}

/** The same sentence as write_opinion in Python. */
function writeOpinion({ title, sees, eps, then, most }) {
  if (eps === null) return `${title} sees ${sees}, and no ε up to ${most.toFixed(2)} changed its mind.`;
  return `${title} sees ${sees}; from ε = ${eps.toFixed(2)} on it sees ${then}.`;
}

function buildPicture(parent, title) {
  const element = make("figure", "mmcviz-figure", parent);
  const caption = make("figcaption", "", element);
  caption.textContent = title;
  const canvas = make("canvas", "mmcviz-canvas", element, { role: "img" });
  return { canvas, caption };
}

function render({ model, el }) {
  const frame = openFrame(model, el, "draw");
  const row = make("div", "mmcviz-drawrow", frame.body);
  const left = make("div", "mmcviz-field-side", row);
  const field = make("canvas", "mmcviz-canvas mmcviz-drawing", left, { role: "img", tabindex: 0 });
  const buttons = make("div", "mmcviz-line", left);
  const look = makeButton(buttons, "What is it?", () => {
    frame.ask({ do: "look", drawing: writeDrawing(dots) });
  });
  look.classList.add("mmcviz-primary");
  makeButton(buttons, "Clear", () => change((i) => (dots[i] = 0)));
  const help = make("p", "mmcviz-help", left);
  help.textContent = "Draw with the mouse or a finger. With the keyboard: arrow keys move the pen, Space lifts and lowers it.";
  const right = make("div", "mmcviz-results", row);

  let dots = readDrawing(model.get("drawing"));
  let pen = { x: 16, y: 6, down: false, shown: false };
  let last = null; // where the line that is being drawn ended

  function paintField() {
    const ratio = sizeCanvas(field, FIELD, FIELD);
    const context = field.getContext("2d");
    // As in the data set: light ink on dark ground, in both themes.
    drawCells(context, DOTS, DOTS, (i) => (dots[i] ? 0xffffffff : 0xff000000), 0, 0, field.width, field.height);
    if (!pen.shown) return;
    const dot = (FIELD / DOTS) * ratio;
    context.strokeStyle = pen.down ? "#e69f00" : "#56b4e9";
    context.lineWidth = 2.5 * ratio;
    context.beginPath();
    context.arc((pen.x + 0.5) * dot, (pen.y + 0.5) * dot, 2.4 * dot, 0, 2 * Math.PI);
    context.stroke();
  }

  function paintResults() {
    right.replaceChildren();
    const opinions = model.get("opinions") ?? [];
    const bytes = asBytes(model.get("picture"));
    if (!opinions.length) return;
    const shape = { channels: 1, height: 8, width: 8 };
    const paint = (view, pixels, label) => {
      sizeCanvas(view.canvas, PICTURE, PICTURE);
      drawImage8(view.canvas.getContext("2d"), pixels, 0, shape, 0, 0, view.canvas.width, view.canvas.height);
      view.canvas.setAttribute("aria-label", label);
    };
    paint(buildPicture(right, "what they see, 8 × 8"), bytes, "The drawing as a picture of 8 by 8");
    for (const one of opinions) {
      if (!one.changed) continue;
      const label = `${one.title} sees ${one.then}, ε = ${one.eps.toFixed(2)}`;
      paint(buildPicture(right, label), Uint8Array.from(one.changed), label);
    }
  }

  frame.onPaint(() => {
    paintField();
    paintResults();
    describe();
    return true;
  });

  function describe() {
    const ink = dots.reduce((sum, dot) => sum + dot, 0);
    field.setAttribute("aria-label",
      `Field of 32 by 32 dots, ${ink} drawn. Pen at column ${pen.x}, row ${pen.y}, ${pen.down ? "down" : "lifted"}.`);
    const stale = model.get("asked") !== writeDrawing(dots);
    const opinions = model.get("opinions") ?? [];
    frame.say(stale ? "The drawing has changed: ask “What is it?”." : opinions.map(writeOpinion).join(" "));
    frame.root.dataset.ink = ink;
    frame.root.dataset.stale = stale;
    frame.root.dataset.pen = `${pen.x},${pen.y},${pen.down}`;
  }

  /** Change dots, show them, tell the kernel. */
  function change(act) {
    for (let i = 0; i < dots.length; i++) act(i);
    paintField();
    describe();
    frame.tell({ drawing: writeDrawing(dots) });
  }

  function ink(x, y, u, v) {
    const steps = Math.max(1, Math.ceil(2 * Math.hypot(u - x, v - y)));
    for (let k = 0; k <= steps; k++) {
      const cx = x + (k / steps) * (u - x);
      const cy = y + (k / steps) * (v - y);
      for (let i = 0; i < dots.length; i++) {
        if (Math.hypot((i % DOTS) - cx, Math.floor(i / DOTS) - cy) <= PEN) dots[i] = 1;
      }
    }
    paintField();
    describe();
  }

  const done = () => frame.tell({ drawing: writeDrawing(dots) });
  const place = (event) => [event.offsetX / (FIELD / DOTS) - 0.5, event.offsetY / (FIELD / DOTS) - 0.5];

  field.addEventListener("pointerdown", (event) => {
    field.setPointerCapture(event.pointerId);
    last = place(event);
    pen.shown = false;
    ink(...last, ...last);
  });
  field.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    ink(...last, ...next);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    field.addEventListener(end, () => { if (last) done(); last = null; });
  }
  field.addEventListener("focus", () => { pen.shown = field.matches(":focus-visible"); paintField(); });
  field.addEventListener("blur", () => { pen = { ...pen, shown: false, down: false }; paintField(); describe(); });
  field.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    pen.shown = true;
    const before = { ...pen };
    if (move) {
      pen.x = Math.min(Math.max(pen.x + move[0], 0), DOTS - 1);
      pen.y = Math.min(Math.max(pen.y + move[1], 0), DOTS - 1);
    } else {
      pen.down = !pen.down;
    }
    if (pen.down) {
      ink(before.x, before.y, pen.x, pen.y);
      done();
    } else {
      paintField();
      describe();
    }
  });

  frame.listen("change:drawing", () => {
    const text = model.get("drawing");
    if (text === writeDrawing(dots)) return;
    dots = readDrawing(text);
    frame.paint();
  });
  for (const trait of ["opinions", "picture", "asked"]) frame.listen(`change:${trait}`, () => frame.paint());
  const follow = () => { look.disabled = Boolean(model.get("busy")); };
  frame.listen("change:busy", follow);
  follow();
  frame.paint();
  return frame.dispose;
}

export default { render };
