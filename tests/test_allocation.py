"""Memory that is kept costs no page faults the second time."""

import ctypes
import json
import subprocess
import sys

import pytest

from mmc_viz import allocation

# Blocks of 48 MiB, beyond glibc's largest threshold of its own (32 MiB), each filled and freed.
FAULTS = """
import ctypes, resource, sys
from mmc_viz.allocation import keep_memory
kept = keep_memory() if {keep} else None
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
def fill():
    block = library.malloc(ctypes.c_size_t(48 << 20))
    ctypes.memset(block, 1, 48 << 20)
    library.free(ctypes.c_void_p(block))
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    fill()
print([kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before])
"""


def run(keep):
    code = FAULTS.format(keep=keep)
    clean = {"PATH": "/usr/bin:/bin"}  # without what the Makefile says to glibc
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=clean
    )
    return json.loads(done.stdout.replace("None", "null").replace("True", "true"))


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="the C library is not glibc"
)
def test_memory_that_is_kept_is_not_cleared_again():
    _, without = run(keep=False)
    kept, faults = run(keep=True)
    # Every block anew costs a fault a page (4 KiB), or one for each 2 MiB where pages are huge.
    assert without >= 4 * 24
    assert kept is True and faults < without / 20


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(platform, monkeypatch):
    monkeypatch.setattr(allocation.sys, "platform", platform)
    monkeypatch.setattr(allocation.ctypes, "CDLL", None)  # not even asked
    assert allocation.keep_memory() is False


def test_another_c_library_is_left_alone(monkeypatch):
    class Musl:
        """Has `mallopt`, perhaps, and means something else by it."""

        def mallopt(self, name, value):
            raise AssertionError("asked")

    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda name: Musl())
    assert allocation.keep_memory() is False
