// The frame of every widget: its place in the page, its colours, its words, its replay code.
//
// A widget draws into `body` and puts its inputs into `controls`. Below them the frame keeps the
// sentence that says what is shown, a line on running work with a Stop button, a table of the
// numbers on request, and the replay code. The same code runs in two hosts: JupyterLab through
// anywidget, and an offline page whose model has get/set/on/off/save_changes/send and `offline`.

const NO_KERNEL = "This needs a running kernel: open the notebook in JupyterLab.";
const LOCKED = "Locked: commit your prediction first.";
const LATE = 8000; // milliseconds after which a kernel that says nothing is taken to be gone

export function make(tag, className, parent, attributes = {}) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent?.append(element);
  return element;
}

/** A labelled input, select or checkbox; returns the control. */
export function makeField(parent, label, tag, attributes = {}) {
  const field = make("label", "mmcviz-field", parent);
  make("span", "mmcviz-name", field).textContent = label;
  return make(tag, "mmcviz-input", field, attributes);
}

export function makeButton(parent, label, onClick, attributes = {}) {
  const button = make("button", "mmcviz-button", parent, { type: "button", ...attributes });
  button.textContent = label;
  button.addEventListener("click", onClick);
  return button;
}

/** Fill a select with names; keeps the chosen one where it is still there. */
export function fillSelect(select, names, chosen = select.value) {
  select.replaceChildren(
    ...names.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = name;
      return option;
    }),
  );
  if (names.includes(chosen)) select.value = chosen;
}

/** The key to a grid of images: what their frames say of what a model sees in them. */
export function buildOutcomes(parent, right, wrong) {
  const key = make("div", "mmcviz-outcomes", parent, { "aria-hidden": "true" });
  make("span", "mmcviz-outcome", key);
  make("span", "", key).textContent = right;
  make("span", "mmcviz-outcome mmcviz-wrong", key).textContent = "✕";
  make("span", "", key).textContent = `${wrong} → what the model sees`;
}

/** Whether things may move on their own. */
export function mayAnimate() {
  return !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Read the colours that the style sheet and the host's theme give; they are the host's to choose. */
function readColours(root) {
  const computed = getComputedStyle(root); // live: what is read below follows data-theme
  const ink = computed.color;
  // Whatever makes a page dark, its text is then light: so the text tells, in any host.
  const [r, g, b] = ink.match(/[\d.]+/g).map(Number);
  const dark = 0.299 * r + 0.587 * g + 0.114 * b > 128;
  root.dataset.theme = dark ? "dark" : "light";
  const read = (name) => computed.getPropertyValue(`--mmcviz-${name}`).trim();
  return {
    ink,
    dark,
    page: read("page"),
    line: read("grid"),
    right: read("right"),
    wrong: read("wrong"),
    wrongText: read("wrong-text"),
    doubtful: read("doubtful"),
    classes: Array.from({ length: 10 }, (_, i) => read(`class-${i}`)),
    family: computed.fontFamily,
  };
}

/** Write a value of the view as mmc_viz/replay.py does. */
function writeValue(value) {
  if (!Array.isArray(value)) return typeof value === "string" ? encodeURIComponent(value) : String(value);
  const parts = [];
  for (let start = 0, i = 1; i <= value.length; i++) {
    if (i < value.length && value[i] === value[i - 1] + 1 && value[start] >= 0) continue;
    const row = value.slice(start, i);
    parts.push(...(row.length > 2 ? [`${row[0]}-${row.at(-1)}`] : row.map(String)));
    start = i;
  }
  return parts.join(",");
}

function writeCode(model) {
  const settings = model.get("settings_code");
  if (!settings) return "";
  const names = model.get("view_names") ?? [];
  return [settings, ...names.map((name) => `${name}=${writeValue(model.get(name))}`)].join("&");
}

/**
 * Open the frame of a widget.
 *
 * @param model what anywidget hands over
 * @param el the element to fill
 * @param name of the widget: the root has the class mmcviz-<name>
 */
export function openFrame(model, el, name) {
  const root = make("section", `mmcviz mmcviz-${name}`, null, { "data-ready": "false" });
  const lock = make("p", "mmcviz-lock", root, { hidden: "" });
  lock.textContent = LOCKED;
  const controls = make("div", "mmcviz-controls", root);
  const body = make("div", "mmcviz-body", root);
  const sentence = make("p", "mmcviz-say", root, { "aria-live": "polite" });
  const work = make("div", "mmcviz-work", root, { hidden: "" });
  const bar = make("progress", "mmcviz-progress", work, { max: 1, "aria-label": "Share done" });
  const status = make("span", "mmcviz-status", work, { role: "status" });
  const stop = makeButton(work, "Stop", () => frame.ask({ do: "stop" }));
  const message = make("p", "mmcviz-message", root, { role: "alert", hidden: "" });
  const foot = make("div", "mmcviz-foot", root);
  el.append(root);

  const cleanups = [];
  const delays = new Set();
  /** Do something after so many milliseconds, unless the widget has gone by then. */
  function later(action, milliseconds) {
    const delay = setTimeout(() => { delays.delete(delay); action(); }, milliseconds);
    delays.add(delay);
  }
  let painter = () => false;
  let colours = null;
  let stale = true;
  let pressed = -Infinity;
  let asked = 0;
  let width = 0; // of the body; kept, because asking for it lays the page out
  let choosing = false;
  let codeIsDue = false;

  const frame = {
    root,
    controls,
    body,
    foot,
    offline: Boolean(model.offline),
    /** Of the body, in CSS pixels, when it was painted last. */
    get width() {
      return width;
    },
    get colours() {
      colours ??= readColours(root);
      return colours;
    },

    /** The sentence under the figure. */
    say(text) {
      if (sentence.textContent !== text) sentence.textContent = text;
    },

    /** Something is wrong with the data; nothing is shown then but this. */
    fail(text) {
      message.textContent = text;
      message.hidden = !text;
      if (text) root.dataset.ready = "error";
      else if (root.dataset.ready === "error") root.dataset.ready = "false";
    },

    /** Offer the numbers as a table: rows() gives {head: [...], rows: [[...]]} when it is opened. */
    table(rows) {
      frame.rows = rows;
      tableBox.hidden = false;
      fillTable();
    },

    /** `paint` draws everything and returns false where there is no room for it yet. */
    onPaint(paint) {
      painter = paint;
    },

    /** Paint at once; `since` is when the event began that asked for it. */
    paint(since = performance.now()) {
      if (choosing) return; // one comes when all is set
      width ||= body.clientWidth;
      if (model.get("locked") || width < 1) {
        stale = true; // the observers call again when there is room
        return;
      }
      stale = painter() === false;
      if (stale) return;
      root.dataset.drawMs = (performance.now() - since).toFixed(3);
      root.dataset.ready = "true";
      fillTable();
      renewCode();
    },

    /** When the event that is being handled began: a key press counts from the key's going down. */
    since() {
      const now = performance.now();
      const start = now - pressed < 100 ? pressed : now;
      pressed = -Infinity;
      return start;
    },

    /** Tell the kernel, if there is one. The view goes on alone where there is none. */
    tell(changes) {
      try {
        for (const [trait, value] of Object.entries(changes)) model.set(trait, value);
        model.save_changes();
      } catch {
        // nothing to do: what is shown does not depend on it
      }
      renewCode();
    },

    /** Show what the reader chose, painted once whoever listens to it, and then tell the kernel. */
    choose(changes, since) {
      choosing = true;
      try {
        for (const [trait, value] of Object.entries(changes)) model.set(trait, value);
      } finally {
        choosing = false;
      }
      frame.paint(since);
      frame.tell({});
    },

    /** Ask the kernel for an action, {do: name, ...arguments}. */
    ask(content) {
      if (frame.offline) {
        show(NO_KERNEL);
        return;
      }
      const number = ++asked;
      show("asking the kernel…");
      try {
        model.send(content);
      } catch {
        show(NO_KERNEL);
        return;
      }
      later(() => {
        if (number === asked && !model.get("busy")) show(`The kernel does not answer. ${NO_KERNEL}`);
      }, LATE);
    },

    /** Listen to the model until the widget goes. */
    listen(event, handler) {
      model.on(event, handler);
      cleanups.push(() => model.off?.(event, handler));
    },

    /** Do something when the widget goes. */
    onDispose(action) {
      cleanups.push(action);
    },

    dispose() {
      for (const action of cleanups.splice(0)) action();
      root.remove();
    },
  };

  // -- running work

  function show(text) {
    status.textContent = text;
    work.hidden = !text;
  }

  function showWork() {
    const busy = Boolean(model.get("busy"));
    const share = model.get("progress") ?? -1;
    const text = model.get("status") ?? "";
    if (busy || text) asked++; // it has answered
    bar.hidden = stop.hidden = !busy;
    if (share < 0) bar.removeAttribute("value");
    else bar.value = share;
    root.dataset.busy = busy;
    root.setAttribute("aria-busy", busy);
    show(text);
  }
  for (const trait of ["busy", "progress", "status"]) frame.listen(`change:${trait}`, showWork);

  // -- the numbers

  const tableBox = make("details", "mmcviz-numbers", foot);
  make("summary", "", tableBox).textContent = "Show the numbers";
  const tableView = make("div", "mmcviz-scroll", tableBox, { tabindex: 0, role: "region", "aria-label": "The numbers" });
  tableBox.hidden = true;
  tableBox.addEventListener("toggle", () => fillTable());

  function fillTable() {
    if (!tableBox.open || !frame.rows) return;
    const { head, rows } = frame.rows();
    const table = make("table", "mmcviz-table");
    const top = make("tr", "", make("thead", "", table));
    for (const word of head) make("th", "", top, { scope: "col" }).textContent = word;
    const bodyRows = make("tbody", "", table);
    for (const row of rows) {
      const line = make("tr", "", bodyRows);
      row.forEach((cell, i) => {
        const box = i ? make("td", "", line) : make("th", "", line, { scope: "row" });
        box.textContent = cell;
      });
    }
    tableView.replaceChildren(table);
  }

  // -- the replay code

  const codeBox = make("details", "mmcviz-code", foot);
  make("summary", "", codeBox).textContent = "Replay code";
  const codeLine = make("div", "mmcviz-line", codeBox);
  const codeText = make("input", "mmcviz-codetext", codeLine, {
    type: "text", readonly: "", spellcheck: "false", "aria-label": "Replay code of this situation",
  });
  const copied = make("span", "mmcviz-copied", codeLine, { role: "status" });
  codeLine.insertBefore(
    makeButton(null, "Copy", async () => {
      codeText.value = writeCode(model);
      codeText.select();
      try {
        await navigator.clipboard.writeText(codeText.value);
      } catch {
        document.execCommand("copy"); // pages from disk may not use the clipboard
      }
      copied.textContent = "copied";
      later(() => { copied.textContent = ""; }, 2000);
    }),
    copied,
  );
  const pasteLine = make("div", "mmcviz-line mmcviz-paste", codeBox);
  const paste = make("input", "mmcviz-codetext", pasteLine, {
    type: "text", spellcheck: "false", placeholder: "paste a code here",
    "aria-label": "A replay code to restore",
  });
  const restore = () => {
    const code = paste.value.trim();
    if (code) frame.ask({ do: "restore", code });
  };
  paste.addEventListener("keydown", (event) => { if (event.key === "Enter") restore(); });
  makeButton(pasteLine, "Restore", restore);
  codeBox.hidden = true;
  frame.listen("change:settings_code", renewCode);

  /** Once for all that has changed by then. */
  function renewCode() {
    if (codeIsDue) return;
    codeIsDue = true;
    queueMicrotask(() => {
      codeIsDue = false;
      codeText.value = writeCode(model);
      codeBox.hidden = !codeText.value;
    });
  }

  // -- locks and controls

  function showLock() {
    const locked = Boolean(model.get("locked"));
    lock.hidden = !locked;
    root.dataset.locked = locked;
    if (!locked) frame.paint();
  }
  frame.listen("change:locked", showLock);
  const showControls = () => { root.dataset.controls = model.get("controls") !== false; };
  frame.listen("change:controls", showControls);

  // -- keys

  root.addEventListener("keydown", () => { pressed = performance.now(); }, true);
  // JupyterLab binds plain keys to cells (arrows select, D D deletes): those meant for the controls
  // end here. Keys with Ctrl, and Shift+Enter, still reach it.
  root.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const leaves = ["Escape", "Tab"].includes(event.key) || (event.key === "Enter" && event.shiftKey);
    if (plain && !leaves) event.stopPropagation();
  });

  // -- the page

  const resized = new ResizeObserver(() => {
    const before = width;
    width = body.clientWidth;
    if (width >= 1 && (width !== before || stale)) frame.paint();
  });
  resized.observe(body);
  // What was due while the cell was out of sight is made up for when it comes back, at its old size.
  const seen = new IntersectionObserver(() => { if (stale) frame.paint(); });
  seen.observe(root);

  function recolour() {
    if (!root.isConnected) return;
    const next = readColours(root);
    // While a host swaps its style sheets the page may have no width, and the repaint is still due.
    if (colours && JSON.stringify(next) === JSON.stringify(colours) && !stale) return;
    colours = next;
    frame.paint();
  }
  /** Hosts announce a theme before or after its style sheet has loaded: look now and once more. */
  function themeMayHaveChanged() {
    recolour();
    later(recolour, 300);
  }
  const themes = new MutationObserver(themeMayHaveChanged);
  for (const element of [document.documentElement, document.body]) {
    themes.observe(element, {
      attributeFilter: ["class", "style", "data-jp-theme-light", "data-jp-theme-name", "data-theme"],
    });
  }
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", themeMayHaveChanged);
  cleanups.push(() => {
    resized.disconnect();
    seen.disconnect();
    themes.disconnect();
    scheme.removeEventListener("change", themeMayHaveChanged);
    delays.forEach(clearTimeout);
  });

  showControls();
  showWork();
  showLock();
  return frame;
}
