// Journeys and maps as mmc_viz/journeys/packing.py packs them, and the words that belong to them.

import { openBlock } from "./bytes.js";

/**
 * Undo pack_maps. `shape` is {steps, count, classes}; returns {labels, plane, models, maps} with
 * arrays in place of offsets: of a model `own` and `other` [steps * count], of a map's panel
 * `background`, `anchors` and `positions` as x, y pairs.
 */
export async function unpackAtlas(bytes, { steps, count, classes }) {
  const { header, block, begin } = await openBlock(bytes);
  const numbers = new Float32Array(block.buffer, begin);
  const take = (offset, size) => numbers.subarray(offset, offset + size);
  for (const model of header.models) {
    model.own = take(model.own, steps * count);
    model.other = take(model.other, steps * count);
  }
  for (const { panels } of header.maps) {
    for (const panel of panels) {
      panel.background = take(panel.background, 2 * header.labels.length);
      panel.anchors = take(panel.anchors, 2 * classes);
      panel.positions = take(panel.positions, 2 * steps * count);
      panel.bounds = boundsOf([panel.background, panel.anchors, panel.positions]);
    }
  }
  return header;
}

function boundsOf(arrays) {
  const bounds = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (const values of arrays) {
    for (let i = 0; i < values.length; i += 2) {
      bounds.left = Math.min(bounds.left, values[i]);
      bounds.right = Math.max(bounds.right, values[i]);
      bounds.bottom = Math.min(bounds.bottom, values[i + 1]);
      bounds.top = Math.max(bounds.top, values[i + 1]);
    }
  }
  return bounds;
}

export function fooledAt(run, place, step) {
  return run.count - run.panels[place].right[step];
}

/** The same words as write_sentence in mmc_viz/widgets/feature_view.py. */
export function writeJourney(run, atlas, step) {
  const parts = atlas.models.map(({ title, moved, way, class_distance: unit }, place) =>
    `${title}: ${fooledAt(run, place, step)} of ${run.count} fooled; features moved ${moved[step].toFixed(1)} `
    + `(${(moved[step] / unit).toFixed(2)} class distances) and are ${(100 * way[step]).toFixed(0)} % of the way `
    + "to another center (medians).");
  return [`ε = ${run.epsilons[step].toFixed(3)}.`, ...parts].join(" ");
}

/** How far one map can be believed, in two numbers and a rank correlation. */
export function writeQuality({ quality }) {
  const percent = (share) => `${Math.round(100 * share)} %`;
  const order = quality.distance_correlation === null
    ? "" : ` Distances keep their order with a rank correlation of ${quality.distance_correlation.toFixed(2)}.`;
  return `Of the ${quality.neighbours} nearest points, ${percent(quality.class_share)} have the same class on `
    + `this map, ${percent(quality.true_class_share)} in feature space.${order}`;
}

/** What each model makes of one image at this step. */
export function writeImage(run, step, n) {
  const seen = run.panels.map(({ title, predictions, success }) => {
    const name = run.names[predictions[step][n]];
    const earlier = success[step][n] && predictions[step][n] === run.labels[n];
    return `${title} sees ${name}${earlier ? " (a smaller ε fooled it)" : ""}`;
  });
  return `Image ${n}, ${run.names[run.labels[n]]}: ${seen.join(", ")}.`;
}
