"""Keeping memory that is going to be needed again, where the C library would give it back.

The results of a convolution on a large batch take tens of megabytes, and are gone a moment later.
glibc asks the system for each such block and returns it at once, and the system clears every page
before it hands it out again. On a CPU that can cost as much time as the convolution itself. What
torch computes does not depend on it.
"""

import ctypes
import sys

# Of <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = -1


def keep_memory() -> bool:
    """Let this process keep the memory that it has freed, for what it computes next.

    Its use of memory then never falls below its peak before the process ends, and the peak can be
    higher, since gaps between blocks in use stay. Only glibc is told; elsewhere nothing happens.
    It takes effect at any time, for what is allocated from then on.

    Returns
    -------
    kept : bool
        Whether the C library has taken the advice.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # to others the numbers may mean other things
        return False
    # No block gets a mapping of its own, and the end of the heap is not cut off.
    return all([library.mallopt(_MMAP_MAX, 0), library.mallopt(_TRIM_THRESHOLD, _NEVER)])
