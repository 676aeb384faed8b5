// The host of the widgets in a page without a kernel: it stands where Jupyter would.
//
// Each widget gets the model that its JavaScript expects, with get/set/on/off/save_changes/send, and
// `offline`, so that it can say what it cannot do here. All views of a widget share its model. What
// a widget keeps sealed is opened when the prediction that it waits for is committed.

const pageModules = JSON.parse(document.getElementById("modules").textContent);
const models = new Map(); // short name to model, or to the record of a box, a text or nothing
const modules = new Map(); // digest to what the module exports, or the promise of it

/** Undo mmc_viz/export/embedding.py: base64, and deflated text. */
function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
async function inflateText(text) {
  const stream = new Blob([fromBase64(text)]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream("deflate"))).text();
}

/** Put bytes, written as {bytes: base64}, into their places. */
function revive(value) {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.bytes === "string" && Object.keys(value).length === 1) {
    return new DataView(fromBase64(value.bytes).buffer);
  }
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revive(inner)]));
}

function isSame(a, b) {
  if (a === b) return true;
  if (a instanceof DataView || b instanceof DataView) return false;
  return typeof a === "object" && typeof b === "object" && JSON.stringify(a) === JSON.stringify(b);
}

/** A model that behaves as Backbone's does, with nobody at the other end. */
class Model {
  constructor(name, record) {
    this.name = name;
    this.record = record;
    this.offline = true;
    this.state = revive(record.state);
    this.handlers = new Map();
    this.widget_manager = { get_model: async (id) => models.get(id.replace("IPY_MODEL_", "")) };
  }

  get(name) {
    return this.state[name];
  }

  /** Set one trait or several; whoever listens hears of each that has changed, then of all. */
  set(names, value, options) {
    const traits = typeof names === "string" ? { [names]: value } : names;
    const changed = Object.keys(traits).filter((name) => !isSame(this.state[name], traits[name]));
    for (const name of changed) this.state[name] = traits[name];
    for (const name of changed) this.trigger(`change:${name}`, this, traits[name], options);
    if (changed.length) this.trigger("change", this, options);
  }

  on(names, handler) {
    for (const name of names.split(/\s+/)) {
      this.handlers.set(name, [...(this.handlers.get(name) ?? []), handler]);
    }
  }

  off(names, handler) {
    for (const name of names ? names.split(/\s+/) : [...this.handlers.keys()]) {
      const left = (this.handlers.get(name) ?? []).filter((other) => handler && other !== handler);
      this.handlers.set(name, left);
    }
  }

  trigger(name, ...values) {
    for (const handler of this.handlers.get(name) ?? []) handler(...values);
  }

  save_changes() {}

  send() {} // nobody listens; the frame of a widget says so by itself
}

/** The exports of a module, which stands in the page as text and is loaded once. */
function load(digest) {
  if (!modules.has(digest)) {
    const text = pageModules.esm[digest];
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    modules.set(digest, import(url).finally(() => URL.revokeObjectURL(url)));
  }
  return modules.get(digest);
}

const styled = new Set();
function addStyle(digest) {
  if (styled.has(digest)) return;
  styled.add(digest);
  document.head.append(
    Object.assign(document.createElement("style"), { textContent: pageModules.css[digest] }),
  );
}

/** What a module exports by default, made ready for one model. */
async function definitionOf(model) {
  const { default: exported } = await load(model.record.esm);
  const definition = typeof exported === "function" ? await exported() : exported;
  await definition.initialize?.({ model });
  return definition;
}

/** Show a model in an element. */
async function show(name, place) {
  const model = models.get(name);
  if (model instanceof Model) {
    addStyle(model.record.css);
    model.definition ??= definitionOf(model);
    const { render } = await model.definition;
    await render?.({ model, el: place });
  } else if (model?.kind === "box") {
    place.classList.add("box", model.way);
    for (const child of model.children) {
      await show(child, place.appendChild(document.createElement("div")));
    }
  } else if (model?.kind === "text") {
    place[model.html ? "innerHTML" : "textContent"] = model.value;
  } else {
    place.append("This control needs a running kernel: open the notebook in JupyterLab.");
  }
}

/** Make the models whose records stand in a part of the page, and show them there. */
async function fill(part) {
  for (const script of part.querySelectorAll("script.models")) {
    for (const [name, record] of Object.entries(JSON.parse(script.textContent))) {
      models.set(name, record.kind === "widget" ? new Model(name, record) : record);
      if (record.kind === "widget") waitFor(models.get(name));
    }
    script.remove();
  }
  joinModels();
  await Promise.all(
    [...part.querySelectorAll(".widget:not([data-shown])")].map(async (place) => {
      place.dataset.shown = "";
      try {
        await show(place.dataset.model, place);
      } catch (error) {
        place.append("This picture cannot be shown in this browser.");
        console.error(error);
      }
    }),
  );
}

/** Keep two traits alike where the notebook has linked them. */
function joinModels() {
  for (const link of pageModules.links) {
    const ends = [link.source, link.target].map(([name, trait]) => [models.get(name), trait]);
    if (link.joined || !ends.every(([model]) => model instanceof Model)) continue;
    link.joined = true;
    ends[1][0].set(ends[1][1], ends[0][0].get(ends[0][1])); // the source tells first
    for (const [[from, trait], [to, other]] of link.both ? [ends, [...ends].reverse()] : [ends]) {
      from.on(`change:${trait}`, () => to.set(other, from.get(trait)));
    }
  }
}

// ---- predictions

/** Call `action` when the prediction of this name has been committed; at once if it has been. */
function whenCommitted(name, action) {
  const prediction = models.get(name);
  if (prediction.get("committed")) action();
  else prediction.on("change:committed", () => prediction.get("committed") && action());
}

/** Have the seals of a model opened when what they wait for is committed. */
function waitFor(model) {
  for (let seal = model.record.offline; seal?.sealed; seal = seal.then) {
    const { sealed, after } = seal;
    // The prediction may stand in the same records, further down.
    queueMicrotask(() => whenCommitted(after, async () => {
      model.set({ locked: false, ...revive(JSON.parse(await inflateText(sealed))) });
    }));
  }
}
