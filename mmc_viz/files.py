"""Files that others may write, cut off or replace: read with limits, written whole, one at a time.

What is read may be a stranger's: anything but a regular file of a sensible size is refused before
memory is taken for it, so neither a pipe, a device nor ten gigabytes of zeros can stop a lesson.
What is written appears complete or not at all, also when the process is killed in the middle. And
where two processes would take turns in spoiling each other's work, one has to wait or to leave.
"""

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

#: Largest text file of ours, in bytes: cards, ledgers, results. The shipped ones have 0.6 MB.
TEXT_LIMIT = 64 << 20
_LARGEST_LEFT = 16 << 30  # bytes that a killed process may have left waiting


def read_whole(path: str | Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes.

    Raises
    ------
    OSError
        If it cannot be read, is no regular file, or is larger; `strerror` says which.
    """
    # Opened without waiting: a pipe would let us wait for a writer for ever.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        # One byte more, for a file that has grown since; not `limit`, for which `read` would take
        # the memory at once.
        content = file.read(status.st_size + 1) if status.st_size <= limit else b""
        if status.st_size > limit or len(content) > status.st_size:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content


def read_json(path: str | Path, limit: int = TEXT_LIMIT) -> Any:
    """Read a JSON file of at most `limit` bytes, in which every number is finite.

    Raises
    ------
    OSError
        If the file cannot be read; see `read_whole`.
    ValueError
        If it holds no JSON in UTF-8, or what JSON does not know, such as NaN.
    """
    try:
        text = read_whole(path, limit).decode()
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON knows")


def _finite(digits: str) -> float:
    """Read a number with a fraction or exponent; 1e999 would be infinite."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is no number that a float can hold")
    return number


def write_whole(path: str | Path, content: str | bytes) -> None:
    """Write a file, complete or not at all: what was there stays until the new one is on disk."""
    path = Path(path)
    # With the number of the process, so that two never share a draft.
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        write_through(draft, content)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_through(path: str | Path, content: str | bytes) -> None:
    """Write a file and wait until the disk has it, so that a later rename cannot overtake it."""
    with open(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


def write_pair(path: str | Path, content: bytes, description: str | Path, text: str) -> None:
    """Replace two files that belong together, the second of which names the first's checksum.

    Two files cannot be replaced at once. So the new content waits beside its place until the
    description that names it is there. Killed at any moment, this leaves one description, and what
    it describes either in its place or waiting: `read_described` finds it.

    Parameters
    ----------
    path : str or Path
        Where the content belongs.
    content : bytes
        What is described.
    description : str or Path
        Where the text belongs.
    text : str
        It holds the SHA-256 of the content.
    """
    waiting = _waiting(path)
    with suppress(OSError):
        # What a killed process left waiting may be what the description that is there describes.
        left = hashlib.sha256(read_whole(waiting, _LARGEST_LEFT)).hexdigest()
        if left in read_whole(description, TEXT_LIMIT).decode(errors="replace"):
            os.replace(waiting, path)
    try:
        write_through(waiting, content)
        write_whole(description, text)
    except BaseException:
        # Either it is half, or nothing describes it: the description is replaced last.
        waiting.unlink(missing_ok=True)
        raise
    os.replace(waiting, path)


def read_described(path: str | Path, sha256: str, limit: int) -> bytes | None:
    """Read what `write_pair` wrote; None where nothing there has the checksum.

    Raises
    ------
    OSError
        If there is no file that can be read; see `read_whole`.
    """
    content = None
    failed: OSError | None = None
    for place in (Path(path), _waiting(path)):
        try:
            content = read_whole(place, limit)
        except OSError as error:
            failed = failed or error
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
    if content is None and failed is not None:
        raise failed
    return None


def _waiting(path: str | Path) -> Path:
    return Path(path).with_name(f"{Path(path).name}.next")


@contextmanager
def locked(path: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Let nobody else write `path`, a file or folder, in this block.

    The system holds the lock and drops it when the process ends, however that happens; so a killed
    process blocks nobody, and no clock is asked. While it is held, `.NAME.lock` lies beside `path`.

    Parameters
    ----------
    path : str or Path
        What is going to be written. Its folder must exist.
    wait : bool
        Whether to wait for another writer; for what takes moments.

    Raises
    ------
    ValueError
        If another process holds the lock, and `wait` is False.
    OSError
        If the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    path = Path(path).absolute()
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"Another process is writing {path}. Wait until it has ended, or write elsewhere."
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # whoever opened it meanwhile finds it gone, and makes a new one
            os.unlink(lock.lock_file)
        lock.release()
