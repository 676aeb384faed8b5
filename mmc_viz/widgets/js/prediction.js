// A question with numbers or choices to guess. Once committed, each guess stands beside its answer.

import { make, openFrame } from "./page.js";
import { commitGuesses, isAnswered, makeCommit, scoreOf, writeNumber, writeVerdict } from "./guesses.js";

const ONCE = "A committed guess stands.";

/** A scale with its ends; a press or a drag on it sets the number. */
function buildScale(parent, field, input) {
  const scale = make("div", "mmcviz-scale", parent, { "aria-hidden": "true" });
  make("span", "mmcviz-end", scale).textContent = writeNumber(field.low);
  const track = make("div", "mmcviz-track", scale);
  make("span", "mmcviz-end", scale).textContent = writeNumber(field.high);
  const gap = make("div", "mmcviz-gap", track, { hidden: "" });
  const guess = make("div", "mmcviz-mark mmcviz-guessed", track, { hidden: "" });
  const answer = make("div", "mmcviz-mark mmcviz-true", track, { hidden: "" });
  const share = (value) => Math.min(Math.max((value - field.low) / (field.high - field.low), 0), 1);

  const take = (event) => {
    const box = track.getBoundingClientRect();
    const at = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    const value = field.low + at * (field.high - field.low);
    input.value = field.whole ? Math.round(value) : Number(value.toPrecision(2));
    show(Number(input.value));
  };
  track.addEventListener("pointerdown", (event) => {
    if (!input.isConnected) return; // committed
    track.setPointerCapture(event.pointerId);
    take(event);
  });
  track.addEventListener("pointermove", (event) => {
    if (input.isConnected && track.hasPointerCapture(event.pointerId)) take(event);
  });
  input.addEventListener("input", () => show(input.value === "" ? NaN : Number(input.value)));

  function show(value, truth = NaN) {
    guess.hidden = Number.isNaN(value);
    answer.hidden = gap.hidden = Number.isNaN(truth);
    guess.style.left = `${100 * share(value)}%`;
    if (Number.isNaN(truth)) return;
    const [low, high] = [share(value), share(truth)].sort((a, b) => a - b);
    answer.style.left = `${100 * share(truth)}%`;
    gap.style.left = `${100 * low}%`;
    gap.style.width = `${100 * (high - low)}%`;
  }
  return show;
}

function buildNumber(form, field) {
  const row = make("div", "mmcviz-row", form);
  const label = make("label", "mmcviz-ask", row);
  make("span", "mmcviz-name", label).textContent = field.name;
  const input = make("input", "", label, {
    type: "number", required: "", min: field.low, max: field.high,
    step: field.whole ? 1 : "any", inputmode: field.whole ? "numeric" : "decimal",
  });
  if (field.unit) make("span", "mmcviz-unit", label).textContent = field.unit;
  const show = buildScale(row, field, input);
  const verdict = make("p", "mmcviz-verdict", row, { hidden: "" });
  return {
    read: () => Number(input.value),
    reveal(guess, answer) {
      input.remove();
      row.classList.add("mmcviz-answered");
      show(guess, answer);
      verdict.textContent = writeVerdict(field, guess, answer);
      verdict.hidden = false;
      row.dataset.score = scoreOf(field, guess, answer);
    },
  };
}

function buildChoice(form, field, number) {
  const row = make("fieldset", "mmcviz-row mmcviz-choices", form);
  make("legend", "mmcviz-name", row).textContent = field.name;
  const group = `guess-${number}-${Math.random().toString(36).slice(2)}`; // one group a view
  const inputs = field.choices.map((choice) => {
    const label = make("label", "mmcviz-choice", row);
    const input = make("input", "", label, { type: "radio", name: group, required: "" });
    make("span", "", label).textContent = choice;
    return { choice, input, label };
  });
  const verdict = make("p", "mmcviz-verdict", row, { hidden: "" });
  return {
    read: () => inputs.find(({ input }) => input.checked).choice,
    reveal(guess, answer) {
      row.classList.add("mmcviz-answered");
      for (const { choice, input, label } of inputs) {
        input.remove();
        label.classList.toggle("mmcviz-guessed", choice === guess);
        label.classList.toggle("mmcviz-true", choice === answer);
        const said = [choice === guess && "your guess", choice === answer && "the answer"];
        const words = said.filter(Boolean).join(", ");
        label.querySelector(".mmcviz-said")?.remove(); // what was revealed before
        if (words) make("span", "mmcviz-said", label).textContent = words;
      }
      verdict.textContent = writeVerdict(field, guess, answer);
      verdict.hidden = false;
      row.dataset.score = scoreOf(field, guess, answer);
    },
  };
}

/** What the marks mean; nothing where there is no scale. */
function buildKey(rows) {
  const key = make("div", "mmcviz-key", null, { "aria-hidden": "true" });
  if (rows.every(({ field }) => field.choices.length)) return key;
  make("span", "mmcviz-mark mmcviz-guessed", key);
  make("span", "", key).textContent = "your guess";
  make("span", "mmcviz-mark mmcviz-true", key);
  make("span", "", key).textContent = "the answer";
  return key;
}

function render({ model, el }) {
  const frame = openFrame(model, el, "prediction");
  let rows = [];
  let form = null;

  function build() {
    frame.body.replaceChildren();
    form = make("form", "mmcviz-guess", frame.body);
    const question = make("p", "mmcviz-question", form);
    make("span", "mmcviz-tag", question).textContent = "Predict";
    question.append(model.get("question"));
    const answers = make("div", "mmcviz-answers", form, { "aria-live": "polite" });
    rows = (model.get("fields") ?? []).map((field, i) => {
      const row = (field.choices.length ? buildChoice : buildNumber)(answers, field, i);
      return { field, ...row };
    });
    const last = make("div", "mmcviz-line mmcviz-commit", form);
    makeCommit(frame, model, last, () => {}, { type: "submit" });
    make("span", "mmcviz-once", last).textContent = ONCE;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (model.get("committed") || model.get("busy")) return;
      commitGuesses(frame, Object.fromEntries(rows.map(({ field, read }) => [field.name, read()])));
    });
    show();
  }

  function show() {
    frame.root.dataset.committed = isAnswered(model);
    if (isAnswered(model)) {
      const [guesses, answers] = [model.get("guesses"), model.get("answers")];
      for (const { field, reveal } of rows) reveal(guesses[field.name], answers[field.name]);
      form.querySelector(".mmcviz-commit")?.replaceWith(buildKey(rows));
    }
    frame.paint();
  }

  // The browser lays out what stands here; asking for the colours notes the theme.
  frame.onPaint(() => Boolean(frame.colours));
  for (const trait of ["question", "fields"]) frame.listen(`change:${trait}`, build);
  for (const trait of ["committed", "answers", "guesses"]) frame.listen(`change:${trait}`, show);
  build();
  return frame.dispose;
}

export default { render };
