// The page itself: its folded code, and the parts that open after a prediction.

/** Show a part: its widgets, its figures, and the sealed parts within it. */
async function openPart(part) {
  watchFigures(part);
  const filled = fill(part);
  for (const sealed of part.querySelectorAll(".sealed")) {
    whenCommitted(sealed.dataset.after, () => unseal(sealed));
  }
  await filled;
}

async function unseal(sealed) {
  const words = await inflateText(sealed.querySelector("script.seal").textContent);
  sealed.innerHTML = words;
  sealed.classList.remove("sealed");
  document.getElementById("news").textContent = "The next part is open.";
  await openPart(sealed);
}

// ---- code

const folds = () => [...document.querySelectorAll("details.fold")];
const codeButton = document.getElementById("code");
if (codeButton) {
  codeButton.addEventListener("click", () => {
    const open = codeButton.getAttribute("aria-pressed") !== "true";
    codeButton.setAttribute("aria-pressed", open);
    for (const fold of folds()) fold.open = open;
  });
  window.addEventListener("beforeprint", () => { for (const fold of folds()) fold.open = true; });
}

// The list of headings closes when one is chosen, or Escape is pressed.
const contents = document.querySelector("details.contents");
contents?.addEventListener("click", (event) => {
  if (event.target.closest("a")) contents.open = false;
});
contents?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  contents.open = false;
  contents.querySelector("summary").focus();
});

openPart(document.body).then(() => { root.dataset.ready = "true"; });
