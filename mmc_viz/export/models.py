"""The models of a notebook's widgets, as a page holds them.

A page needs those that a view shows, and what these lead to: the children of a box, both ends of a
link. Models get short names in the order in which they were made, so that a page is the same each
time. A widget's JavaScript and style sheet stand in the page once, however many widgets share them.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from mmc_viz.export.executing import Executed

REFERENCE = "IPY_MODEL_"
BOXES = {"VBoxModel": "column", "HBoxModel": "row", "BoxModel": "row", "GridBoxModel": "row"}
TEXTS = ("HTMLModel", "LabelModel")
LINKS = {"LinkModel": True, "DirectionalLinkModel": False}
#: What is the same for every model, or stands elsewhere in the page.
_LEFT_OUT = ("_esm", "_css", "_anywidget_id", "layout", "tooltip", "tabbable")


class Models:
    """The models of one notebook.

    Parameters
    ----------
    executed : Executed
        The notebook that has run.

    Attributes
    ----------
    modules, styles : dict from digest to text
        JavaScript and style sheets of the models that were asked for so far.
    """

    def __init__(self, executed: Executed):
        self._states = executed.states
        self._offline = executed.offline
        self._names = {model: f"w{place}" for place, model in enumerate(executed.states, 1)}
        self._given: set[str] = set()
        self.modules: dict[str, str] = {}
        self.styles: dict[str, str] = {}

    def name(self, model: str) -> str:
        """Give the short name of a model."""
        return self._names[model]

    def was_given(self, model: str) -> bool:
        """Whether a model is in the page by now."""
        return model in self._given

    def can_show(self, model: str) -> bool:
        """Whether a page without a kernel shows anything of a model.

        Progress bars have come to their end; whatever holds one is left out as a whole.
        """
        kind = self._states.get(model, {}).get("_model_name")
        if kind == "FloatProgressModel" or kind == "IntProgressModel":
            return False
        if kind in BOXES:
            children = [self._states[child]["_model_name"] for child in self._children(model)]
            return not {"FloatProgressModel", "IntProgressModel"} & set(children)
        return kind is not None

    def take(self, models: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Give these models and all that they lead to, without those given before.

        Parameters
        ----------
        models : iterable of str
            Model ids.

        Returns
        -------
        records : dict from short name to dict
            JSON-able; `kind` says what it is: widget, box, text or none.

        Raises
        ------
        ValueError
            If a widget waits for a prediction that is not in the notebook.
        """
        wanted = [model for model in models if model not in self._given]
        for model in wanted:  # grows while it is walked
            wanted += [child for child in self._children(model) if child not in wanted]
        fresh = [model for model in wanted if model not in self._given]
        self._given.update(fresh)
        return {self.name(model): self._record(model) for model in fresh}

    def links(self) -> list[dict[str, Any]]:
        """Give the links between models that were given, each once, after all others are."""
        found = []
        for state in self._states.values():
            ends = [state.get("source"), state.get("target")]
            if state.get("_model_name") not in LINKS or not all(ends):
                continue
            ids = [end[0].removeprefix(REFERENCE) for end in ends]
            if set(ids) <= self._given:
                source, target = (
                    [self.name(model), end[1]] for model, end in zip(ids, ends, strict=True)
                )
                both = LINKS[state["_model_name"]]
                found.append({"source": source, "target": target, "both": both})
        return found

    def _children(self, model: str) -> list[str]:
        children = self._states.get(model, {}).get("children", [])
        ids = [str(child).removeprefix(REFERENCE) for child in children]
        return [child for child in ids if child in self._states]

    def _record(self, model: str) -> dict[str, Any]:
        state = self._states[model]
        kind = state["_model_name"]
        if kind in BOXES:
            children = [self.name(child) for child in self._children(model)]
            return {"kind": "box", "way": BOXES[kind], "children": children}
        if kind in TEXTS:
            return {"kind": "text", "value": state.get("value", ""), "html": kind == "HTMLModel"}
        if "_esm" not in state:
            return {"kind": "none", "name": kind.removesuffix("Model")}
        record: dict[str, Any] = {
            "kind": "widget",
            "esm": _keep(self.modules, state["_esm"]),
            "css": _keep(self.styles, state.get("_css") or ""),
            "state": self._renamed({k: v for k, v in state.items() if not _is_left_out(k)}),
        }
        offline = self._offline.get(model, {})
        if "after" in offline:
            if offline["after"] not in self._names:
                raise ValueError("A widget waits for a prediction that is not in the notebook.")
            offline = offline | {"after": self.name(offline["after"])}
        return record | {"offline": offline}

    def _renamed(self, value: Any) -> Any:
        """Put the short names into references between models."""
        if isinstance(value, dict):
            return {name: self._renamed(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._renamed(inner) for inner in value]
        if isinstance(value, str) and value.startswith(REFERENCE):
            return REFERENCE + self._names.get(value.removeprefix(REFERENCE), "")
        return value


def _is_left_out(trait: str) -> bool:
    return trait in _LEFT_OUT or trait.startswith(("_model_", "_view_", "_dom_"))


def _keep(texts: dict[str, str], text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    texts.setdefault(digest, text)
    return digest
