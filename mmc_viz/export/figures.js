// The plotly figures of a page: drawn when they come into view, in the colours of its theme, and
// given back when they leave it, because a browser holds few 3-D scenes at a time.

const NEUTRAL = "#787878"; // the grey that mmc_viz/figures/style.py writes for unknown pages
const FIGURE_CONFIG = { responsive: true, displaylogo: false };
let plotly = null;

/** plotly.js stands in the page deflated; it is read when the first figure needs it. */
function loadPlotly() {
  plotly ??= inflateText(document.getElementById("plotly").textContent).then((text) => {
    document.head.append(Object.assign(document.createElement("script"), { textContent: text }));
    return window.Plotly;
  });
  return plotly;
}

async function draw(figure) {
  const theme = root.dataset.theme;
  const Plotly = await loadPlotly();
  const plot = figure.querySelector(".plot");
  const { data, layout, frames } = JSON.parse(figure.querySelector("script").textContent);
  const ink = getComputedStyle(figure).getPropertyValue("--ink").trim();
  const coloured = JSON.parse(JSON.stringify(layout ?? {}).replaceAll(`"${NEUTRAL}"`, `"${ink}"`));
  Plotly.purge(plot); // from nothing, because a 3-D scene keeps colours of the theme before
  await Plotly.newPlot(plot, data, coloured, FIGURE_CONFIG);
  if (frames) await Plotly.addFrames(plot, frames);
  figure.dataset.drawn = theme;
}

const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && target.dataset.drawn !== root.dataset.theme) {
      draw(target);
    }
    if (!isIntersecting && target.dataset.drawn) {
      window.Plotly.purge(target.querySelector(".plot"));
      delete target.dataset.drawn;
    }
  }
}, { rootMargin: "600px" });

function watchFigures(part) {
  for (const figure of part.querySelectorAll("figure.plotly")) inView.observe(figure);
}

root.addEventListener("theme", () => {
  for (const figure of document.querySelectorAll("figure[data-drawn]")) draw(figure);
});
