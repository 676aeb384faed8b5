// The elements of the feature view.

import { openLayer } from "./canvas.js";
import { make, makeField } from "./page.js";

export function buildFeatureView({ controls, body }) {
  const select = makeField(controls, "Map", "select");
  select.classList.add("mmcviz-mapname");
  const toggle = make("label", "mmcviz-field mmcviz-toggle", controls);
  const tails = make("input", "mmcviz-tails", toggle, { type: "checkbox" });
  make("span", "", toggle).textContent = "show the way since ε = 0";
  make("span", "mmcviz-fooledkey", controls).textContent = "✕ cut into a marker: fooled";
  const legend = make("div", "mmcviz-classes", controls, { role: "group", "aria-label": "Show these classes only" });
  const budget = make("div", "mmcviz-budget", controls);
  const label = make("label", "mmcviz-name", budget);
  label.textContent = "Attacker’s budget";
  const slider = make("input", "mmcviz-slider", budget, { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Attacker’s budget" });
  const readout = make("span", "mmcviz-epsilon", budget, { "aria-hidden": "true" });
  const note = make("p", "mmcviz-note", body);
  const panels = make("div", "mmcviz-panels", body);
  const keys = make("p", "mmcviz-keys", body);
  const key = (look, words) => {
    const one = make("span", "mmcviz-mapkey", keys);
    make("span", look, one, { "aria-hidden": "true" });
    make("span", "", one).textContent = words;
    return one;
  };
  key("mmcviz-ownbar", "distance to the center of its own class");
  key("mmcviz-otherbar", "to the nearest other center");
  const means = make("span", "mmcviz-means", keys);
  const picked = make("div", "mmcviz-picked", body);
  const caption = make("p", "mmcviz-caption", picked, { "aria-live": "polite" });
  const strips = make("div", "mmcviz-panels", body);
  return { select, tails, legend, budget, slider, readout, note, panels, means, picked, caption, strips };
}

export function buildFeaturePanel(parent, strips) {
  const element = make("div", "mmcviz-panel", parent, { role: "group" });
  const title = make("p", "mmcviz-title", element, { "aria-hidden": "true" });
  const map = make("canvas", "mmcviz-canvas mmcviz-map", element, { role: "img", tabindex: 0 });
  const quality = make("p", "mmcviz-quality", element);
  const distances = make("canvas", "mmcviz-canvas mmcviz-distances", element, { role: "img" });
  const strip = make("canvas", "mmcviz-canvas mmcviz-strip", make("div", "mmcviz-panel", strips), { role: "img" });
  return { element, title, map, quality, distances, strip, under: openLayer(), over: openLayer(), brush: null };
}
