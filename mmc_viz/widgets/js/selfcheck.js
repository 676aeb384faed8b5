// The self-check: what the kernel found, and two lines that only a page can fill in.

import { make, openFrame } from "./page.js";

const PATIENCE = 90_000; // milliseconds: the kernel answers only after the cells that are running

function render({ model, el }) {
  const frame = openFrame(model, el, "selfcheck");
  const list = make("ul", "mmcviz-checks", frame.body);
  const word = `hello ${Math.random().toString(36).slice(2)}`;
  const sent = performance.now();
  let talk = frame.offline
    ? { ok: null, words: "this is a page without a kernel: nothing to talk to" }
    : { ok: null, words: "waiting for the kernel, which may be running other cells…" };

  const rowsNow = () => [
    ...(model.get("rows") ?? []),
    { name: "Page", ok: true, words: "widgets are drawn here" },
    { name: "Page and kernel", ...talk },
  ];

  frame.onPaint(() => {
    const rows = rowsNow();
    list.replaceChildren();
    for (const { name, ok, words } of rows) {
      const kind = ok === null ? "waiting" : ok ? "works" : "fails";
      const row = make("li", `mmcviz-check mmcviz-${kind}`, list);
      const verdict = { works: "✔ works", fails: "✘ does not work", waiting: "… open" }[kind];
      make("span", "mmcviz-verdict", row).textContent = verdict;
      make("span", "mmcviz-name", row).textContent = name;
      make("span", "mmcviz-words", row).textContent = words;
    }
    const failed = rows.filter(({ ok }) => ok === false).length;
    const open = rows.filter(({ ok }) => ok === null).length;
    let says = "Everything works. You can begin.";
    if (open) says = frame.offline ? "All that needs no kernel works." : "One moment…";
    if (failed) says = `${failed} of ${rows.length} ${failed > 1 ? "do" : "does"} not work; the line says what is wrong.`;
    frame.say(says);
    frame.root.dataset.passed = failed ? "false" : open ? "open" : "true";
    return true;
  });

  function hear() {
    if (model.get("echo") !== word) return;
    const ms = Math.round(performance.now() - sent);
    const took = ms < 2000 ? `${ms} ms` : `${Math.round(ms / 1000)} s, other cells being run meanwhile`;
    talk = { ok: true, words: `a word went there and back in ${took}` };
    frame.paint();
  }

  if (!frame.offline) {
    frame.listen("change:echo", hear);
    const timer = setTimeout(() => {
      if (talk.ok) return;
      talk = { ok: false, words: "the kernel does not answer: restart it and run this cell again" };
      frame.paint();
    }, PATIENCE);
    frame.onDispose(() => clearTimeout(timer));
    try {
      model.send({ do: "hello", word });
    } catch {
      // the timer says so
    }
  }
  frame.paint();
  return frame.dispose;
}

export default { render };
