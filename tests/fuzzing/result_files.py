"""What commands wrote and read again: ledgers, results, ablations, maps in the cache."""

import functools
import json
from pathlib import Path
from random import Random
from unittest import mock

import numpy as np

from fuzzing.kind import Format
from fuzzing.mutating import JSON, change_json_file
from mmc_viz.ablations import load_race, load_result
from mmc_viz.ablations.shipped import path_of
from mmc_viz.collapse import convergence
from mmc_viz.commands import results as results_command
from mmc_viz.commands.chunks import Job, Ledger, judge_all, partial_path
from mmc_viz.embeddings import cache
from mmc_viz.locations import DATA_DIR
from mmc_viz.results.transfers import rows_of, shipped_transfers

# ---- the ledger of an evaluation

_SETTINGS = {"seed": 0, "dataset": "digits", "attacks": ["pgd", "fgsm"], "eps": 0.1}
_JOB = Job("pgd, digits-mmc", 250, lambda part, seed: _verdicts(part))


def _verdicts(part: slice) -> dict:
    return {
        "correct": [place % 3 == 0 for place in range(part.start, part.stop)],
        "steps": {"a": 1},
    }


@functools.cache
def ledgers() -> list[bytes]:
    """A ledger with two chunks of the first job, and an empty one."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "x.partial", _SETTINGS)
        for part in _JOB.chunks[:2]:
            ledger.add(_JOB, _verdicts(part) | {"seconds": 0.25})
        return [ledger.path.read_bytes()]


def read_ledger(data: bytes, folder: Path) -> None:
    """Read a ledger, and go on with the evaluation."""
    path = partial_path(folder / "out.json")
    path.write_bytes(data)
    ledger = Ledger(path, _SETTINGS)
    ledger.read()
    kept = json.loads(data)
    assert ledger.judged == kept["judged"] and ledger.settings == _SETTINGS
    (merged,) = judge_all([_JOB], ledger, seed=0, progress=False).values()
    assert len(merged["correct"]) == _JOB.images


def vouch(data: bytes, draw: Random) -> bytes:
    """Change a ledger, and let its checksum be that of what it holds now."""
    changed = change_json_file(data, draw)
    try:
        values = json.loads(changed)
        ledger = Ledger(None, values["settings"])
        ledger.judged = values["judged"]
        return json.dumps(values | {"sha256": ledger._checksum()}).encode()
    except Exception:
        return changed


# ---- results and ablations


@functools.cache
def results() -> list[bytes]:
    """The results that ship, without most of what is measured of the models."""
    values = json.loads((DATA_DIR / "results.json").read_bytes())
    values["models"] = {}
    return [json.dumps(values).encode(), json.dumps({"transfer": values["transfer"]}).encode()]


def read_transfers(data: bytes, folder: Path) -> None:
    """Read the transfer matrices as a figure does."""
    (folder / "results.json").write_bytes(data)
    matrices = shipped_transfers(folder / "results.json")
    truth = json.loads(data)["transfer"]
    assert list(matrices) == list(truth)
    for dataset, matrix in matrices.items():
        assert matrix.accuracy.tolist() == truth[dataset]["accuracy"]
        assert 0 <= matrix.accuracy.min() and matrix.accuracy.max() <= 1
        assert matrix.sources == list(truth[dataset]["weights"])


def read_results(data: bytes, folder: Path) -> None:
    """Read results as `mmc-viz results` does before it adds to them."""
    (folder / "results.json").write_bytes(data)
    transfer = results_command._read(folder / "results.json").get("transfer", {})
    assert transfer == json.loads(data).get("transfer", {})
    for matrix in transfer.values():
        assert [row.name for row in rows_of(matrix)] == list(matrix["weights"])
        # What was measured before is looked for among these.
        assert not {"no": "such setting"}.items() <= matrix.items()


def ablations() -> list[bytes]:
    """Two ablations that ship."""
    return [path_of(name).read_bytes() for name in ("centers", "size")]


def read_ablation(data: bytes, folder: Path) -> None:
    """Read the outcome of an ablation."""
    (folder / "x.json").write_bytes(data)
    assert load_result(folder / "x.json").values() == json.loads(data)


def races() -> list[bytes]:
    """The comparison of two runs that ships."""
    return [path_of("convergence").read_bytes()]


def read_race(data: bytes, folder: Path) -> None:
    """Read the histories of runs that took turns, and lay them side by side."""
    (folder / "x.json").write_bytes(data)
    histories = load_race(folder / "x.json")
    assert histories == json.loads(data)["histories"]
    course = convergence(histories)
    assert course.accuracy == [[entry["accuracy"] for entry in h] for h in histories.values()]


# ---- maps kept for speed


@functools.cache
def maps() -> list[bytes]:
    """Five positions."""
    import tempfile

    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(cache, "cache_dir", lambda: Path(folder)),
    ):
        cache.store("x", np.arange(10, dtype=np.float32).reshape(5, 2))
        return [(Path(folder) / "maps" / "x.safetensors").read_bytes()]


def read_map(data: bytes, folder: Path) -> None:
    """Read a map from the cache; a changed one counts as absent."""
    (folder / "maps").mkdir()
    (folder / "maps" / "x.safetensors").write_bytes(data)
    with mock.patch.object(cache, "cache_dir", lambda: folder):
        found = cache.load("x", 5)
    if found is None:
        raise ValueError("absent")
    assert (found == np.arange(10, dtype=np.float32).reshape(5, 2)).all(), "another map"


FORMATS = (
    Format("ledger", ledgers, read_ledger, (*JSON, *(vouch,) * 40)),
    Format("transfers", results, read_transfers, JSON, cases=100),
    Format("results", results, read_results, JSON, cases=100),
    Format("ablation", ablations, read_ablation, JSON),
    Format("race", races, read_race, JSON),
    Format("map", maps, read_map),
)
