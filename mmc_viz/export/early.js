// Before anything is painted: the theme that the reader chose, else that of the system.
let chosen = null;
try {
  chosen = localStorage.getItem("mmc-viz-theme");
} catch {
  // a page from disk may be kept from remembering
}
const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
document.documentElement.dataset.theme = ["light", "dark"].includes(chosen) ? chosen : system;
