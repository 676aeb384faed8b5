"""What all widgets of the laboratory share: settings, replay codes, and locks.

A widget is a few traits. Its settings say what is computed, its view says what is shown of it, and
both together are its replay code. What the browser draws is sent once, as data traits; from then on
the browser answers alone. Where it has to ask (attack anew, train), it sends the name of an action,
and the work runs in a thread (`mmc_viz.widgets.working`).

    traits of every widget, beside those on its work:
    controls       whether inputs are shown; a teacher may hide them
    locked         whether the data wait for a prediction; while they do, they stay in the kernel
    settings_code  the settings as the first part of a replay code; empty where they have no names
    view_names     the traits that make up the view
"""

import base64
import dataclasses
import json
import sys
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import traitlets
from torch import nn
from tqdm import tqdm

from mmc_viz import replay
from mmc_viz.widgets.subjects import weights_stamp
from mmc_viz.widgets.working import Report as Report
from mmc_viz.widgets.working import Stopped as Stopped
from mmc_viz.widgets.working import WorkingWidget
from mmc_viz.widgets.working import first_line as first_line

_ALIVE: "weakref.WeakSet[LabWidget]" = weakref.WeakSet()


class LabWidget(WorkingWidget):
    """A widget with settings, a view, a replay code and a lock; subclasses say what they show.

    Parameters
    ----------
    controls : bool
        Whether inputs are shown.
    after : Prediction, optional
        A prediction that has to be committed before the data leave the kernel.
    **kwargs : Any
        Other traits.

    Attributes
    ----------
    kind : str
        First word of its replay codes.
    Settings : type
        A frozen dataclass: what is computed. A field `models` names the models.
    view : tuple of str
        Traits that say what is shown.
    settings : Settings or None
        Those of this widget; None if it shows results that have no names.
    """

    Settings: ClassVar[type | None] = None
    view: ClassVar[tuple[str, ...]] = ()

    controls = traitlets.Bool(True).tag(sync=True)
    locked = traitlets.Bool(False).tag(sync=True)
    settings_code = traitlets.Unicode().tag(sync=True)
    view_names = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, *, controls: bool = True, after: Any = None, **kwargs: Any):
        self.settings: Any = None
        self._models: dict[str, nn.Module] = {}
        self._after = after
        self._withheld: dict[str, Any] = {}
        self._adopting, self._unlocking = threading.RLock(), threading.RLock()
        waits = after is not None and not after.committed
        super().__init__(controls=controls, locked=waits, view_names=list(self.view), **kwargs)
        if waits:
            after.observe(lambda change: self.unlock(), "committed")
            if after.committed:  # meanwhile
                self.unlock()
        self.on_msg(self._receive)
        _ALIVE.add(self)

    # ---- settings and replay codes

    @classmethod
    def of(
        cls,
        *,
        controls: bool = True,
        after: Any = None,
        models: "dict[str, nn.Module] | tuple[str, ...] | list[str] | None" = None,
        **settings: Any,
    ) -> "LabWidget":
        """Compute what the settings ask for and show it.

        Parameters
        ----------
        controls : bool
            Whether inputs are shown.
        after : Prediction, optional
            What has to be committed first.
        models : names, or dict from name to model
            Shipped names; models of your own go by the names that you give them here.
        **settings : Any
            Fields of `Settings`, and traits of the view.

        Raises
        ------
        ValueError
            If a setting is unknown or impossible.
        """
        if models is not None:
            settings["models"] = tuple(models)
        view = {name: settings.pop(name) for name in cls.view if name in settings}
        widget = cls._blank(controls=controls, after=after)
        widget._models = dict(models) if isinstance(models, dict) else {}
        with _bar() as report, _whole(widget):
            widget._adopt(_settings(cls, settings), report)
            widget._set_view(view)
        return widget

    @classmethod
    def replay(
        cls, code: str, *, controls: bool = True, models: dict[str, nn.Module] | None = None
    ) -> "LabWidget":
        """Restore a situation from its code; `models` are those of your own, by name.

        Raises
        ------
        ValueError
            If the code is damaged, of another kind of widget, or of other weights.
        """
        widget = cls._blank(controls=controls)
        widget._models = dict(models or {})
        with _bar() as report, _whole(widget):
            widget.restore(code, report)
        return widget

    @classmethod
    def _blank(cls, **kwargs: Any) -> "LabWidget":
        """Make a widget that shows nothing yet."""
        return cls(**kwargs)

    @property
    def code(self) -> str:
        """The replay code of what is shown; empty if the results have no names."""
        if not self.settings_code:
            return ""
        shown = {name: getattr(self, name) for name in self.view}
        # Text after text: the browser joins the same two parts.
        rest = replay.write(self.kind, _Nothing(), shown).partition("?")[2]
        return "&".join(filter(None, [self.settings_code, rest]))

    def restore(self, code: str, report: Report | None = None) -> None:
        """Show the situation of a replay code; compute it where it is not the present one.

        Parameters
        ----------
        code : str
            As it stands under the widget.
        report : callable, optional
            Told as `report(share, words)` how far the computation is.

        Raises
        ------
        ValueError
            If the code is damaged, of another kind of widget, or of other weights. What is computed
            then stays as it was.
        """
        kind, fields = replay.split(code)
        if kind != self.kind:
            raise ValueError(f"`code` must begin with {self.kind}?; got one of {kind!r}.")
        settings, rest = replay.read(self.Settings, fields)
        stamp = rest.pop("weights", "")
        view = {
            name: replay.value_of(name, type(getattr(self, name)), text)
            for name, text in rest.items()
            if name in self.view
        }
        unknown = [name for name in rest if name not in self.view]
        if unknown:
            raise ValueError(f"`code` holds a name that is none of this widget's: {unknown[0]!r}.")
        if stamp and stamp != self._stamp(settings):
            raise ValueError("the code was made with models of the same names but other weights.")
        if settings != self.settings:
            self._adopt(settings, report)
        self._set_view(view)

    def _adopt(self, settings: Any, report: Report | None = None) -> None:
        """Compute what the settings ask for and show it."""
        with self._adopting:  # a cell may ask for it while the page has asked for another
            stamp = self._stamp(settings)
            self._deliver(**self._compute(settings, report or (lambda *_: None)))
            self.settings = settings
            code = replay.write(self.kind, settings)
            self.settings_code = f"{code}&weights={stamp}" if stamp else code

    def _compute(self, settings: Any, report: Report) -> dict[str, Any]:
        """Compute the data traits of these settings; subclasses do."""
        raise NotImplementedError

    def _stamp(self, settings: Any) -> str:
        names = getattr(settings, "models", ())
        return weights_stamp(names, self._models) if names else ""

    def _set_view(self, view: dict[str, Any]) -> None:
        for name in self.view:  # in this order: a step may be within the range of a run only
            if name in view:
                value = list(view[name]) if isinstance(view[name], tuple) else view[name]
                if name in self._withheld:  # what the data begin with gives way to what is asked
                    self._withheld[name] = value
                else:
                    setattr(self, name, value)

    # ---- locks

    def _deliver(self, **traits: Any) -> None:
        """Send data to the browser in one message; keep them back while the widget is locked."""
        with self._unlocking:
            if self.locked:
                self._withheld |= traits
                return
            with self.hold_sync():
                for name, value in traits.items():
                    setattr(self, name, value)

    def unlock(self) -> None:
        """Send what was kept back."""
        with self._unlocking:  # whoever computes meanwhile delivers before this or after it
            if not self.locked:
                return
            self.locked = False
            withheld, self._withheld = self._withheld, {}
            self._deliver(**withheld)

    def offline(self) -> dict[str, Any]:
        """Give what a page without a kernel needs beside the synced state.

        A locked widget gives its data as `sealed` (see `seal`), which the page opens when the
        prediction whose model id is `after` is committed.
        """
        if not self.locked or self._after is None:
            return {}
        return {"sealed": seal(self._withheld), "after": self._after.model_id}

    # ---- what the browser asks for

    def _receive(self, widget: Any, content: dict[str, Any], buffers: list) -> None:
        """Do what the browser asks for: the action NAME is the method `do_NAME`."""
        action = getattr(self, f"do_{content.get('do')}", None)
        if action is None:
            return
        arguments = {name: value for name, value in content.items() if name != "do"}
        self._guarded(lambda: action(**arguments))

    def do_restore(self, code: str) -> None:
        """Restore a code that was pasted in the browser."""
        self._start(lambda report: self.restore(code, report), "Restored.")


@contextmanager
def _whole(widget: LabWidget) -> Iterator[None]:
    """Close a widget that did not come to show anything, whatever kept it from that."""
    try:
        yield
    except BaseException:
        widget.close()
        raise


@contextmanager
def _bar() -> Iterator[Report]:
    """Show a bar below the cell of a notebook while it computes; it goes when all is there."""
    form = "{desc} {bar:24} {percentage:.0f} %"
    elsewhere = "ipykernel" not in sys.modules
    # Without a delay: tqdm would not wipe out what was drawn before it had passed.
    with tqdm(total=1.0, leave=False, file=sys.stdout, bar_format=form, disable=elsewhere) as bar:

        def report(share: float | int = -1.0, words: str = "") -> None:
            bar.set_description_str(words, refresh=False)
            bar.update(max(float(share), bar.n) - bar.n)
            bar.refresh()

        yield report


@dataclasses.dataclass(frozen=True)
class _Nothing:
    """Settings without a field."""


def seal(traits: dict[str, Any]) -> str:
    """Pack traits so that a page can carry them unread: JSON, deflated, as base64 text.

    Bytes become `{"bytes": base64}`.
    """

    def plain(value: Any) -> Any:
        return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value

    text = json.dumps({name: plain(value) for name, value in traits.items()})
    return base64.b64encode(zlib.compress(text.encode())).decode()


def offline_states() -> dict[str, dict[str, Any]]:
    """Give what an exported page needs of all widgets of this kernel, by model id."""
    return {widget.model_id: widget.offline() for widget in list(_ALIVE) if widget.comm is not None}


def _settings(cls: type[LabWidget], values: dict[str, Any]) -> Any:
    """Make settings; sequences become tuples, so that they compare and are written alike."""
    names = [field.name for field in dataclasses.fields(cls.Settings)]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of the settings: {', '.join(names)}.")
    plain = {
        name: tuple(value) if isinstance(value, (list, range)) else value
        for name, value in values.items()
    }
    return cls.Settings(**plain)
