"""Widgets whose traits are changed by several threads at once.

Cells run in one thread of the kernel. JupyterLab has what a page says handled in another, and long
work runs in a third. ipywidgets notes in the widget what the change at hand has still to tell the
page, and traitlets what it has still to check. With one such note for all, a thread that ended its
change wiped out what another had just noted, and the page never heard of it. So here each thread
has notes of its own, and only the sending takes turns.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import anywidget

_SENDING = threading.RLock()


class PerThread:
    """An attribute of which each thread has its own.

    Parameters
    ----------
    first : callable
        Called as `first(owner)`; gives what it is in a thread that has not set it, or has deleted
        it.
    """

    def __init__(self, first: Callable[[Any], Any]):
        self._first = first

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        own = self._own(instance)
        if "value" not in own:
            own["value"] = self._first(instance)
        return own["value"]

    def __set__(self, instance: Any, value: Any) -> None:
        self._own(instance)["value"] = value

    def __delete__(self, instance: Any) -> None:
        self._own(instance).pop("value", None)

    def _own(self, instance: Any) -> dict[str, Any]:
        # One step, so that two threads that come first at the same time find the same one.
        return vars(instance).setdefault(self._name, threading.local()).__dict__


class ThreadedWidget(anywidget.AnyWidget):
    """A widget that may be changed by any thread; the page comes to know the last value of each."""

    # Held back until the end of a change (ipywidgets) …
    _holding_sync = PerThread(lambda widget: False)
    _states_to_send = PerThread(lambda widget: set())
    # … what the page said itself and need not be told …
    _property_lock = PerThread(lambda widget: {})
    # … and what waits for a check of the whole change (traitlets).
    _cross_validation_lock = PerThread(lambda widget: False)
    notify_change = PerThread(lambda widget: partial(anywidget.AnyWidget.notify_change, widget))

    def send_state(self, key: Any = None) -> None:
        """Send traits as they are now; whoever sends last has seen the last value."""
        with _SENDING:
            super().send_state(key)
