// The checks of an audit as a card: each row is filled in as soon as its check is answered.

import { fillSelect, make, makeButton, makeField, openFrame } from "./page.js";

const SIGNS = { pass: "✓", fail: "✕", warn: "!", asking: "…", "": "?" };
const WORDS = { pass: "pass", fail: "fail", warn: "warning", asking: "asking…", "": "not asked" };

function writePercent(share) {
  return (Math.floor(1000 * share + 0.5 + 1e-9) / 10).toFixed(1);
}

/** The same sentence as write_outcome in Python. */
function writeOutcome(name, outcome, checks) {
  const failed = checks.filter(({ verdict }) => verdict === "fail").length;
  const says = outcome.masked ? "the claim does not hold" : "no sign of masking";
  return (
    `${name}: ${says}. Claimed ${writePercent(outcome.claim)} %, `
    + `found ${writePercent(outcome.accuracy)} %; ${failed} of ${checks.length} checks failed.`
  );
}

/** A share as a bar in a frame that stands for 1. */
function buildBar(parent) {
  const row = make("div", "mmcviz-claim", parent);
  const label = make("span", "", row);
  const frame = make("div", "mmcviz-claimbar", row, { "aria-hidden": "true" });
  const fill = make("div", "mmcviz-share", frame);
  const number = make("span", "mmcviz-number", row);
  return (words, share, kind) => {
    label.textContent = words;
    row.dataset.kind = kind;
    number.textContent = share === null ? "–" : `${writePercent(share)} %`;
    fill.style.width = `${100 * (share ?? 0)}%`;
  };
}

function buildRow(parent) {
  const row = make("li", "mmcviz-check", parent);
  const sign = make("span", "mmcviz-sign", row, { "aria-hidden": "true" });
  const head = make("p", "mmcviz-checkhead", row);
  const name = make("span", "mmcviz-name", head);
  const verdict = make("span", "mmcviz-word", head);
  const sentence = make("p", "mmcviz-meaning", row);
  const evidence = make("p", "mmcviz-evidence", row);
  return (check) => {
    row.dataset.verdict = check.verdict;
    sign.textContent = SIGNS[check.verdict];
    name.textContent = check.name;
    verdict.textContent = WORDS[check.verdict];
    sentence.textContent = check.sentence;
    evidence.textContent = check.evidence;
  };
}

function render({ model, el }) {
  const frame = openFrame(model, el, "audit-card");
  const menu = makeField(frame.controls, "Model", "select");
  const budget = makeField(frame.controls, "Budget ε", "input", {
    type: "number", min: 0.001, max: 1, step: "any",
  });
  const run = makeButton(frame.controls, "Run the audit", ask, { class: "mmcviz-button mmcviz-primary" });
  const card = make("div", "mmcviz-card", frame.body);
  const top = make("div", "mmcviz-cardtop", card);
  const sign = make("span", "mmcviz-sign mmcviz-bigsign", top, { "aria-hidden": "true" });
  const title = make("p", "mmcviz-cardtitle", top);
  const about = make("p", "mmcviz-about", top);
  const claimed = buildBar(card);
  const found = buildBar(card);
  const list = make("ol", "mmcviz-checks", card);
  let rows = [];

  function ask() {
    if (!budget.checkValidity()) {
      budget.reportValidity();
      return;
    }
    frame.ask({ do: "audit", model: menu.value, eps: Number(budget.value) });
  }
  budget.addEventListener("keydown", (event) => { if (event.key === "Enter") ask(); });

  /** One word for the whole card. */
  function standing(outcome, checks) {
    if (Object.keys(outcome).length) return outcome.masked ? "fail" : "pass";
    return checks.some(({ verdict }) => verdict) ? "asking" : "";
  }

  function paint() {
    const checks = model.get("checks") ?? [];
    const outcome = model.get("outcome") ?? {};
    const done = Object.keys(outcome).length > 0;
    const state = standing(outcome, checks);
    const answered = checks.filter(({ verdict }) => verdict && verdict !== "asking").length;
    frame.root.dataset.standing = state || "blank";
    frame.root.dataset.answered = answered;
    frame.root.dataset.theme = frame.colours.dark ? "dark" : "light";
    card.dataset.verdict = state;
    sign.textContent = SIGNS[state];
    title.textContent = {
      pass: "No sign of masking", fail: "Masked: the claim does not hold",
      asking: model.get("busy") ? "Asking…" : `Stopped after ${answered} of ${checks.length} checks`,
      "": "Not audited yet",
    }[state];
    about.textContent = `${model.get("model")}: ${model.get("images")} images, ${model.get("norm")}, `
      + `ε = ${Number(model.get("eps").toPrecision(4))}`;
    claimed(done ? `claimed (${outcome.about})` : "claimed", done ? outcome.claim : null, "claim");
    found("lowest accuracy found", done ? outcome.accuracy : null, state);
    if (rows.length !== checks.length) {
      list.replaceChildren();
      rows = checks.map(() => buildRow(list));
    }
    const waits = (check) => !model.get("busy") && check.verdict === "asking"; // it was stopped
    checks.forEach((check, i) => rows[i](waits(check) ? { ...check, verdict: "" } : check));
    frame.say(done ? writeOutcome(model.get("model"), outcome, checks) : "");
    return true;
  }

  function follow() {
    fillSelect(menu, model.get("models") ?? [], model.get("model"));
    budget.value = Number((model.get("eps") ?? 0).toPrecision(6));
    frame.paint();
  }
  function rest() {
    run.disabled = Boolean(model.get("busy"));
    frame.paint();
  }

  frame.onPaint(paint);
  for (const trait of ["models", "model", "eps"]) frame.listen(`change:${trait}`, follow);
  for (const trait of ["images", "norm", "checks", "outcome"]) {
    frame.listen(`change:${trait}`, () => frame.paint());
  }
  frame.listen("change:busy", rest);
  rest();
  follow();
  frame.table(() => ({
    head: ["check", "verdict", "evidence"],
    rows: (model.get("checks") ?? []).map(({ name, verdict, evidence }) => [name, WORDS[verdict], evidence]),
  }));
  return frame.dispose;
}

export default { render };
