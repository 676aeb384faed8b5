"""Where things lie on disk: shipped files, the data sets a user has, and what is kept for speed.

`data/` stands beside the package in the repository. It holds what is shipped (`samples/`,
`models/`, `ablations/`), and downloads go there too unless another folder is named, by the argument
`root` or for a whole session by the environment variable `MMC_VIZ_DATA`; the argument wins. What is
shipped never moves. Results that can be computed again are kept in a cache folder of the user, or
in that named by `MMC_VIZ_CACHE`.
"""

import os
from pathlib import Path

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
SAMPLES_DIR = DATA_DIR / "samples"
MODELS_DIR = DATA_DIR / "models"
ABLATIONS_DIR = DATA_DIR / "ablations"


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that holds the standard data sets, in torchvision's layout.

    Parameters
    ----------
    root : path, optional
        The folder, if the caller names one. `~` is expanded. Default: the environment variable
        `MMC_VIZ_DATA` where it is set and not empty, else `data/` of the repository.

    Returns
    -------
    root : Path
        The folder. It is neither created nor looked into.
    """
    chosen = root or os.environ.get("MMC_VIZ_DATA") or DATA_DIR
    return Path(chosen).expanduser()


def cache_dir() -> Path:
    """Return the folder for results that can be computed again, such as maps of features.

    It is that of the environment variable `MMC_VIZ_CACHE` where it is set and not empty, else
    `mmc_viz` in the user's cache folder: `XDG_CACHE_HOME` where it is set to an absolute path, as
    its specification asks, else `~/.cache`.

    Returns
    -------
    folder : Path
        It is neither created nor looked into. Whoever uses it must do without it if need be.
    """
    named = os.environ.get("MMC_VIZ_CACHE")
    if named:
        return Path(named).expanduser()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (shared if shared.is_absolute() else Path("~/.cache").expanduser()) / "mmc_viz"
