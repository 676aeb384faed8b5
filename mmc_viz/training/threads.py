"""One thread for what has to come out alike, bit for bit, wherever in a process it runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_TURN = threading.RLock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread of the processor in this block, and then as many as before.

    How many threads share a sum decides how it is rounded, and torch keeps their number partly for
    the process and partly for each Python thread. So these blocks also take turns: none begins
    while another runs. Keep them short.
    """
    with _TURN:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
