// The theme of a page: that of the system until the reader chooses another.

const root = document.documentElement;
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

function useTheme(theme) {
  root.dataset.theme = theme;
  root.dispatchEvent(new Event("theme"));
}

systemIsDark.addEventListener("change", () => useTheme(systemIsDark.matches ? "dark" : "light"));
document.getElementById("theme").addEventListener("click", () => {
  useTheme(root.dataset.theme === "dark" ? "light" : "dark");
  try {
    localStorage.setItem("mmc-viz-theme", root.dataset.theme);
  } catch {
    // a page from disk may be kept from remembering
  }
});
