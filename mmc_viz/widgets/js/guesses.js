// Words and frames of what is guessed; the words are those of mmc_viz/predictions.py.

import { makeButton } from "./page.js";

const CLOSE = 5; // scores up to which a guess is called so
const NEAR = 20;

/** A number with at most four digits that count: 0.06, 12, 3.142. */
export function writeNumber(value) {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

/** One decimal, halves upwards. */
export function writeTenth(value) {
  return (Math.floor(10 * value + 0.5) / 10).toFixed(1);
}

function writeValueOf(field, value) {
  const text = typeof value === "string" ? value : writeNumber(value);
  return field.unit ? `${text} ${field.unit}` : text;
}

/** From 0 (exact) to 100. */
export function scoreOf(field, guess, answer) {
  if (field.choices.length) return guess === answer ? 0 : 100;
  return Math.min(100, (100 * Math.abs(guess - answer)) / (field.high - field.low));
}

/** A guess and its answer in words. */
export function writeVerdict(field, guess, answer) {
  if (field.choices.length) {
    const asked = /[:?]$/.test(field.name) ? field.name : `${field.name}:`;
    if (guess === answer) return `${asked} ${answer}. You were right.`;
    return `${asked} ${answer}; you chose ${guess}. Now find out why.`;
  }
  const truth = writeValueOf(field, answer);
  const score = scoreOf(field, guess, answer);
  if (score === 0) return `${field.name}: ${truth}, exactly as you said.`;
  const gap = writeValueOf(field, Math.abs(guess - answer));
  const side = guess > answer ? "high" : "low";
  let remark = "A surprise: now there is something to explain.";
  if (score <= CLOSE) remark = "Close.";
  else if (score <= NEAR) remark = "Not far off.";
  return `${field.name}: ${truth}; you said ${writeValueOf(field, guess)}, ${gap} too ${side}. ${remark}`;
}

/** Mean absolute error of a guessed curve, in percentage points. */
export function curveError(guess, truth) {
  return guess.reduce((sum, value, k) => sum + Math.abs(value - truth[k]), 0) / guess.length;
}

/** How far off a guessed curve is, and where most. */
export function writeCurveVerdict(name, epsilons, guess, truth) {
  const gaps = guess.map((value, k) => Math.abs(value - truth[k]));
  const most = Math.max(...gaps);
  if (most === 0) return `${name}: exactly as you drew it.`;
  const worst = gaps.indexOf(most);
  const side = guess[worst] > truth[worst] ? "high" : "low";
  return (
    `${name}: off by ${writeTenth(curveError(guess, truth))} percentage points on average, `
    + `most at ε = ${writeNumber(epsilons[worst])}: ${writeTenth(most)} too ${side}.`
  );
}

/** Whether guess and answer are both there; in an exported page the answer takes a moment to open. */
export function isAnswered(model) {
  return Boolean(model.get("committed")) && Object.keys(model.get("answers") ?? {}).length > 0;
}

/** Commit: the kernel answers; a page without one has the answer sealed in it. */
export function commitGuesses(frame, guesses) {
  if (frame.offline) frame.tell({ guesses, committed: true });
  else frame.ask({ do: "commit", guesses });
}

/** The button that commits, with a word of warning; it rests while the kernel works. */
export function makeCommit(frame, model, parent, onClick, attributes = {}) {
  const button = makeButton(parent, "Commit", onClick, { class: "mmcviz-button mmcviz-primary", ...attributes });
  const rest = () => { button.disabled = Boolean(model.get("busy")); };
  frame.listen("change:busy", rest);
  rest();
  return button;
}
