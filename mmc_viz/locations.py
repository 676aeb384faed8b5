"""Where things lie on disk: shipped files, and the data sets a user has.

`data/` stands beside the package in the repository. It holds what is shipped (`samples/`,
`models/`), and downloads go there too unless another folder is named. Another folder is named by
the argument `root`, or for a whole session by the environment variable `MMC_VIZ_DATA`; the
argument wins. What is shipped never moves.
"""

import os
from pathlib import Path

DATA_DIR = Path(__file__).resolve().parent.parent / "data"
SAMPLES_DIR = DATA_DIR / "samples"
MODELS_DIR = DATA_DIR / "models"


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
