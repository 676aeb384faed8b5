"""Getting missing files of a standard data set, without ever leaving a half-written one.

An interrupted download that is left where a reader looks for the data breaks every later call.
So whatever is unpacked or downloaded is completed in a folder of its own beside its destination
(`.unfinished-*`, removed in the end, whatever happens) and only then moved into place.
"""

import hashlib
import http.client
import os
import shutil
import socket
import tarfile
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmc_viz.datasets import torchvision_layout as layout
from mmc_viz.datasets.idx import unpack_idx

# Longest wait for an answer, in seconds: a network that swallows requests must not hang a lesson.
NETWORK_TIMEOUT = 10.0


def unpack(name: str, path: Path, largest: tuple[int, ...]) -> None:
    """Unpack the idx file `path` from `path`.gz beside it.

    The archive is not compared with torchvision's MD5, which would refuse the same data packed by
    someone else, such as Debian's package; gzip has a checksum of its own.

    Parameters
    ----------
    name : str
        Name of the data set, for the message.
    path : Path
        Where the unpacked file belongs.
    largest : tuple of int
        Shape of the official file; no more than that is unpacked.

    Raises
    ------
    ValueError
        If the archive is damaged or holds more, or the folder cannot be written to.
    """
    archive = layout.packed(path)
    try:
        with _unfinished(path.parent) as folder:
            unpacked = folder / path.name
            unpacked.write_bytes(unpack_idx(archive, largest))
            os.replace(unpacked, path)
    except ValueError as error:
        raise ValueError(
            f"`{name}`: {archive} is damaged or cannot be read ({error}). Delete it, and it will "
            "be downloaded again."
        ) from None
    except OSError as error:
        raise ValueError(
            f"`{name}`: {archive} cannot be unpacked beside itself ({error}). "
            "Make the folder writable, or unpack the file elsewhere and name that `root`."
        ) from None


def download(name: str, split: str, reader: type, root: Path) -> None:
    """Download a data set and put its unpacked files in their place under `root`.

    CIFAR's archive is not downloaded again if it lies in `root` already and has the official MD5.
    Nothing is unpacked before its MD5 is found right, so no archive of a stranger can write outside
    of the folder or fill the disk.

    Parameters
    ----------
    name : str
        Name of the data set.
    split : str
        The split that is missing, for the message; all splits are fetched.
    reader : type
        torchvision's class for the data set. It downloads, compares the MD5 and unpacks.
    root : Path
        Folder in torchvision's layout.

    Raises
    ------
    ValueError
        If it cannot be downloaded or stored. The message says where the data was looked for and
        which data sets work offline.
    """
    try:
        with _unfinished(root) as folder, _impatient_sockets(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy and tarfile on how old the files are
            if name in layout.CIFAR_FOLDERS and _is_official(root / reader.filename, reader):
                shutil.copyfile(root / reader.filename, folder / reader.filename)
            reader(folder, download=True)
            destination = root / layout.FOLDERS[name]
            destination.mkdir(parents=True, exist_ok=True)
            for file in (folder / layout.FOLDERS[name]).iterdir():
                if file.suffix != ".gz":
                    os.replace(file, destination / file.name)
    except (
        OSError,
        RuntimeError,
        EOFError,
        zlib.error,
        tarfile.TarError,
        http.client.HTTPException,
    ) as error:
        # torchvision reports several mirrors on several lines; the last says as much as all.
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise ValueError(
            f"`{name}` ({split}) was not found in {root / layout.FOLDERS[name]} and downloading it "
            f"failed: {reason}. Without a network there are `digits`, the test split of "
            "`fashion_mnist` (a shipped sample) and `folder:PATH`; if you have the files in "
            "torchvision's layout, name their folder by `root` (MMC_VIZ_DATA, --data-root)."
        ) from None


def _is_official(archive: Path, reader: type) -> bool:
    """Whether CIFAR's archive is there and is the official one."""
    if not archive.is_file():
        return False
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == reader.tgz_md5


@contextmanager
def _unfinished(beside: Path) -> Iterator[Path]:
    """Give a folder for unfinished files on the same file system, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=beside) as folder:
        yield Path(folder)


@contextmanager
def _impatient_sockets() -> Iterator[None]:
    """Limit how long a connection may be silent; torchvision offers no argument for it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
