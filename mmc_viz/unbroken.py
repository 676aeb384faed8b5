"""Work that an interrupt of the kernel does not cut in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unbroken() -> Iterator[None]:
    """Let an interrupt wait until this block is done; keep the block short.

    An interrupt comes between any two instructions, and in the middle of a batch the weights are
    those of no number of batches; in the middle of an import, modules are left that cannot be
    imported again. Only the main thread is interrupted; elsewhere nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.SIGINT)
