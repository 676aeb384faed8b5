// Climbs as mmc_viz/microscope/packing.py packs them, and the words that belong to them.

import { openBlock } from "./bytes.js";

/** Undo pack_slides: the header, its slides with their arrays in place of offsets. */
export async function unpackSlides(bytes) {
  const { header, block, begin } = await openBlock(bytes);
  if (header.format !== 1) throw new Error(`format ${header.format} is not known here`);
  const take = (Kind, offset, count) => new Kind(block.buffer, begin + offset, count);
  const [channels, height, width] = header.shape;
  const pixels = channels * height * width;
  header.channels = channels;
  header.height = height;
  header.width = width;
  header.pixels = pixels;
  header.clean = take(Uint8Array, header.clean, pixels);
  header.starts = 1 + Math.max(...header.slides.map(({ restart }) => restart));
  for (const slide of header.slides) {
    const points = slide.side * slide.side;
    const iterates = slide.reached.length;
    slide.values = take(Float32Array, slide.values, points);
    slide.margin = take(Float32Array, slide.margin, points);
    slide.flat = take(Uint8Array, slide.flat, points);
    for (const name of ["change", "gradient", "direction"]) {
      slide[name] = take(Int8Array, slide[name], iterates * pixels);
    }
    const wrong = slide.predicted.findIndex((seen) => seen !== header.label);
    slide.fooledFrom = wrong < 0 ? Infinity : wrong;
  }
  return header;
}

/** The same words as write_name in Python. */
export function writeName(objective) {
  return objective.replace("cross_entropy", "cross-entropy").replaceAll("_", " ");
}

/** The same words as write_number in Python. */
export function writeReached(value) {
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2).replace("-", "−");
}

/** The same sentence as write_sentence in Python. */
export function writeClimb(header, slide, step) {
  const { model, predicted } = slide;
  const names = header.class_names;
  const start = header.starts > 1 ? ` from start ${slide.restart + 1} of ${header.starts}` : "";
  let verdict = `${model} says ${names[predicted[step]]}`;
  if (predicted[step] === header.label) {
    const again = slide.fooledFrom < step ? "says again" : "still says";
    verdict = `${model} ${step === 0 ? "says" : again} ${names[header.label]}`;
  } else if (slide.fooledFrom === step) {
    verdict += ": fooled";
  } else {
    verdict += `: fooled first at step ${slide.fooledFrom}`;
  }
  const margin = slide.objective === "margin" ? "" : `margin ${writeReached(slide.margins[step])}, `;
  return `Step ${step} of ${header.steps}${start}: ${writeName(slide.objective)} `
    + `${writeReached(slide.reached[step])}, ${margin}and ${verdict}.`;
}

/** What the step from here does, in words. */
export function writeStep(header, slide, step) {
  const off = slide.heights[step] > 0.005
    ? ` The iterate lies ${slide.heights[step].toFixed(2)} off this plane.` : "";
  if (slide.slopes[step] === 0) {
    return "The gradient is exactly zero at every pixel. Its sign is zero too: the attack stands "
      + `still.${off}`;
  }
  const alpha = Number(header.step_size.toPrecision(3));
  if (step === header.steps) return `The last step has been taken.${off}`;
  const cut = Math.round(100 * slide.cut[step]);
  return `From here every pixel goes α = ${alpha} along the sign; the projection takes ${cut} % of `
    + `the pixels back.${off}`;
}
