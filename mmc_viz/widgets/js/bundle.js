// Epsilon paths as mmc_viz/bundles packs them.

import { openBlock } from "./bytes.js";

/**
 * Undo mmc_viz.bundles.pack: a list of runs, each with all that is needed to draw it.
 *
 * A run is {name, epsilons, panels, labels, names, count, channels, height, width}; of a panel,
 * image n at step k begins at (n * steps + k) * pixels of `images`, and `since[n]` is the step from
 * which image n is fooled, or -1.
 */
export async function unpack(bytes) {
  const { header, block, begin } = await openBlock(bytes);
  if (header.format !== 1) throw new Error(`format ${header.format} is not known here`);
  const payload = block.subarray(begin);
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
