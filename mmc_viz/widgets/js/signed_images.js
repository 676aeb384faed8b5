// An image with its change, its gradient and the signs that lead on, side by side.

import { drawCells, parseColour } from "./canvas.js";

/** Colours of numbers from -127 to 127: blue below zero, vermilion above, the page's own at zero. */
function signedColours({ dark }) {
  const zero = dark ? [38, 38, 38] : [244, 244, 244];
  const [less, more] = [dark ? [86, 180, 233] : [0, 114, 178], parseColour("#d55e00")];
  return Uint32Array.from({ length: 255 }, (_, i) => {
    const t = Math.min(Math.abs(i - 127) / 127, 1);
    const end = i < 127 ? less : more;
    const [r, g, b] = zero.map((from, c) => Math.round(from + t * (end[c] - from)));
    return (0xff000000 | (b << 16) | (g << 8) | r) >>> 0;
  });
}
const SIGNED = { light: signedColours({ dark: false }), dark: signedColours({ dark: true }) };

/** Signed numbers of one image: in two hues, or three channels about mid-grey. */
function paintSigned(context, header, values, start, gain, colours, box) {
  const plane = header.height * header.width;
  const table = colours.dark ? SIGNED.dark : SIGNED.light;
  const level = (at) => Math.min(Math.max(128 + gain * values[start + at], 0), 255);
  const rgba = header.channels >= 3
    ? (i) => (0xff000000 | (level(2 * plane + i) << 16) | (level(plane + i) << 8) | level(i)) >>> 0
    : (i) => table[127 + gain * values[start + i]];
  drawCells(context, header.height, header.width, rgba, ...box);
}

/** The iterate itself: the clean image and its change, in grey levels. */
function paintIterate(context, header, slide, step, box) {
  const plane = header.height * header.width;
  const scale = (255 * header.eps) / 127;
  const start = step * header.pixels;
  const level = (at) =>
    Math.min(Math.max(Math.round(header.clean[at] + scale * slide.change[start + at]), 0), 255);
  const [green, blue] = header.channels >= 3 ? [plane, 2 * plane] : [0, 0];
  drawCells(context, header.height, header.width, (i) => {
    const red = level(i);
    const rest = green ? (level(blue + i) << 16) | (level(green + i) << 8) : (red << 16) | (red << 8);
    return (0xff000000 | rest | red) >>> 0;
  }, ...box);
}

/** Two digits that count, without a power of ten where that is short. */
export function writeSlope(value) {
  if (value >= 10) return String(Math.round(value));
  return value < 1e-3 ? value.toExponential(0).replace("-", "−") : String(Number(value.toPrecision(2)));
}

/** Draw the four pictures in a row, or two in a row where the page is narrow. */
export function paintPictures(context, canvas, header, slide, { step, columns, size, colours, ratio }) {
  context.clearRect(0, 0, canvas.width, canvas.height);
  const { change, gradient, direction } = slide;
  const start = step * header.pixels;
  const wrong = slide.predicted[step] !== header.label;
  const seen = header.class_names[slide.predicted[step]];
  const none = slide.slopes[step] === 0;
  const cells = [
    { title: "now: xₜ", note: `${wrong ? "✕ " : ""}${slide.model} says ${seen}`, bad: wrong },
    { title: "change: xₜ − x", note: `± ${Number(header.eps.toPrecision(3))}` },
    { title: "gradient", note: none ? "zero everywhere" : `± ${writeSlope(slide.slopes[step])}`, bad: none },
    { title: "its sign: sₜ", note: none ? "zero everywhere" : "− 1, 0, + 1", bad: none },
  ];
  if (slide.summed) cells[3].title = "sign of the sum";
  cells.forEach(({ title, note, bad }, n) => {
    const pitch = canvas.width / columns;
    const left = (n % columns) * pitch;
    const top = Math.floor(n / columns) * (size + 52 * ratio);
    const box = [left, top + 24 * ratio, size, size];
    if (n === 0) paintIterate(context, header, slide, step, box);
    if (n === 1) paintSigned(context, header, change, start, 1, colours, box);
    if (n === 2) paintSigned(context, header, gradient, start, 1, colours, box);
    if (n === 3) paintSigned(context, header, direction, start, 127, colours, box);
    context.strokeStyle = n || !wrong ? colours.line : colours.wrong;
    if (n === 0 && !wrong) context.strokeStyle = colours.right;
    context.lineWidth = (n ? 1 : wrong ? 4 : 2) * ratio;
    context.strokeRect(...box);
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillStyle = colours.ink;
    context.font = `600 ${13.5 * ratio}px ${colours.family}`;
    context.fillText(title, left, top + 16 * ratio);
    context.fillStyle = bad ? colours.wrongText : colours.ink;
    context.font = `${bad ? 600 : 400} ${13 * ratio}px ${colours.family}`;
    context.fillText(note, left, top + size + 42 * ratio, pitch - 12 * ratio);
  });
}
