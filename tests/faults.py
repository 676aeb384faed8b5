"""Real faults for tests: a process that SIGKILL ends, at a chosen call or at any time."""

import itertools
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable


def killed_at(
    moment: int, act: Callable[[], object], also: Iterable[tuple[object, str]] = ()
) -> int:
    """Act in a process of its own that SIGKILL ends before so many calls that reach the disk.

    Calls of what `also` names, as owner and attribute, are counted too. Gives what `os.waitpid`
    says: 0 if there were fewer calls.
    """
    calls = itertools.count(1)

    def counted(function):
        def call(*arguments, **more):
            if next(calls) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)

        return call

    def prepare():
        names = ("open", "fsync", "replace", "rename", "mkdir", "chmod", "unlink")
        for owner, name in [*((os, name) for name in names), *also]:
            setattr(owner, name, counted(getattr(owner, name)))

    return in_a_child(act, prepare)


def killed_after(seconds: float, act: Callable[[], object]) -> int:
    """Act in a process of its own that a signal ends after so many seconds, wherever it is."""

    def prepare():
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, and nothing is tidied
        signal.setitimer(signal.ITIMER_REAL, seconds)

    return in_a_child(act, prepare)


def with_small_files(limit: int, act: Callable[[], object]) -> int:
    """Act in a process of its own that cannot write a file of more than `limit` bytes."""

    def prepare():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return in_a_child(act, prepare)


def in_a_child(act: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> int:
    """Act in a forked process; gives what `os.waitpid` says, 0 if nothing was raised.

    What `act` returns, if it is a number, becomes the exit status.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 99  # something was raised; no test goes on in here
    try:
        prepare()
        result = act()
        status = result if isinstance(result, int) else 0
    finally:
        os._exit(status)
