"""Who may import whom: compute -> figures -> widgets -> notebooks, never back. The tables rule.

Imports are read from the source, wherever in a file they stand, also inside functions and as names
handed to `importlib.import_module`.
"""

import ast
import sys
from pathlib import Path

import pytest

import mmc_viz

PACKAGE = Path(mmc_viz.__file__).parent

#: Each part of the library to the other parts that it may import. A folder counts as one part.
COMPUTE = {
    "files": set(),
    "tables": {"files"},
    "texts": set(),
    # how models are made
    "locations": set(),
    "devices": set(),
    "allocation": set(),
    "centers": {"files", "locations", "tables"},
    "unfilled": set(),
    "unbroken": set(),
    "heads": {"centers", "unfilled"},
    "networks": {"heads", "unfilled"},
    "datasets": {"files", "locations", "texts"},
    "noise": set(),
    "objectives": set(),
    "distributed": set(),
    "training": {
        *("datasets", "devices", "distributed", "heads", "networks", "noise", "objectives"),
        "unbroken",
    },
    "checkpoints": {"devices", "files", "heads", "locations", "networks", "texts"},
    # how they are attacked and judged
    "attacks": {"networks", "noise", "objectives"},
    "paths": {"attacks", "devices", "networks", "objectives", "tables"},
    "trajectories": {"attacks", "networks", "objectives", "tables"},
    "evaluation": {"attacks", "networks", "objectives", "tables"},
    "audit": {"attacks", "evaluation", "networks", "objectives", "tables", "unbroken"},
    # what is asked of features
    "density": {"attacks", "contours", "heads", "networks", "tables", "training"},
    "contours": {"attacks", "centers", "heads", "networks", "objectives", "tables"},
    "embeddings": {"centers", "locations", "networks", "paths", "tables"},
    "collapse": {"centers", "heads", "networks", "tables", "training"},
    # what came out, model by model
    "ablations": {
        *("attacks", "datasets", "evaluation", "training"),
        *("files", "locations", "tables", "texts"),
    },
    "results": {
        *("ablations", "checkpoints", "collapse", "datasets", "evaluation"),
        *("files", "locations", "texts"),
    },
    "films": {"collapse", "contours", "datasets", "tables", "training"},
    "duels": {"collapse", "datasets", "embeddings", "heads", "networks", "training", "unbroken"},
    # what is sent to a page
    "bundles": {"paths"},
    "journeys": {"attacks", "embeddings", "networks", "paths"},
    "drawings": {"networks", "paths"},
    "replay": set(),
    "predictions": {"evaluation", "tables"},
    "microscope": {"attacks", "contours", "networks", "objectives"},
    "disturbances": {"attacks", "networks"},
}
MAY_IMPORT = COMPUTE | {
    "figures": {
        "files",
        *("audit", "evaluation", "trajectories"),
        *("centers", "collapse", "contours", "density", "embeddings"),
        *("ablations", "results"),
    },
    "widgets": {*COMPUTE, "figures"},
    "exercises": {*COMPUTE},
    "export": {
        "files",
        "locations",
        "texts",
    },  # talks to the kernel in text, and so needs nothing else of ours
    "browser": set(),  # a page seen from outside
    "bench": {*COMPUTE, "widgets", "browser", "export"},
    "gallery": {*COMPUTE, "figures"},
    "commands": {*COMPUTE, "figures", "gallery", "bench", "export"},
    # The entries name everything and import lazily.
    "__init__": {*COMPUTE, "figures", "widgets", "exercises"},
    "__main__": {"__init__", "allocation", "commands"},
}

#: Packages of others that stay in their place: where each may be imported.
WIDGET_TOOLS = ("ipywidgets", "anywidget", "traitlets", "IPython")
PLACES = {tool: {"mmc_viz.widgets"} for tool in WIDGET_TOOLS} | {
    "IPython": {"mmc_viz.widgets", "mmc_viz.figures.shown"},
    "plotly": {"mmc_viz.figures", "mmc_viz.export.page"},  # a page carries plotly.js
    "pyautoattack": {"mmc_viz.attacks.published", "mmc_viz.bench.libraries"},
    "torchvision": {"mmc_viz.datasets.torchvision_readers"},
    "playwright": {"mmc_viz.browser"},
    **{tool: {"mmc_viz.export"} for tool in ("nbclient", "nbformat", "mistune", "pygments")},
    "latex2mathml": {"mmc_viz.export"},
    "tests": set(),
    "conftest": set(),
}

#: Parts whose files may import nothing heavy at their head: `mmc-viz --help` reads these.
LIGHT = ("__init__", "__main__", "allocation", "commands", "files", "texts")
#: Optional packages, which no head of a file may import: our modules load without them.
OPTIONAL = ("playwright", "torchvision", "umap", "foolbox", "pyautoattack", "torchattacks")


def part_of(module: str) -> str:
    """The row of the table to which a module of ours belongs."""
    return (module.split(".") + ["__init__"])[1]


def imports(module: str, source: str, *, is_package: bool = False) -> dict[str, bool]:
    """Absolute names of all that a module imports, and whether the import waits in a function."""
    found = {}
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = {
        inner
        for function in ast.walk(tree)
        if isinstance(function, functions)
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")
                up = up[: len(up) - node.level + is_package]
                base = ".".join([*up, base] if base else up)
            # What is taken out of the bare package is a module or one of its lazy functions.
            names = [f"{base}.{a.name}" for a in node.names] if base == "mmc_viz" else [base]
        elif isinstance(node, ast.Call) and _name(node.func) in ("import_module", "__import__"):
            names = [_text(node.args[0]) if node.args else "?"]
        else:
            continue
        for name in names:
            found[name] = found.get(name, True) and node in inside
    return found


def _name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def _text(node: ast.expr) -> str:
    """A name given as a string; `?` stands for what only a run would tell."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(piece.value) if isinstance(piece, ast.Constant) else "?" for piece in node.values
        )
    return "?"


def target(name: str) -> str:
    """The row of the table that an imported name of ours leads to."""
    taken = name.split(".")[1] if "." in name else "__init__"
    if taken in mmc_viz._FUNCTIONS:  # `from mmc_viz import load_model` loads `checkpoints`
        return part_of(mmc_viz._FUNCTIONS[taken])
    return taken if taken in MAY_IMPORT else "__init__"


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Whatever a module imports against the tables, one line each."""
    part, found = part_of(module), []
    for name, waits in imports(module, source, is_package=is_package).items():
        package = name.split(".")[0]
        if package == "mmc_viz":
            if target(name) != part and target(name) not in MAY_IMPORT[part]:
                found.append(f"{module} imports {name}")
        elif "?" in package and part != "__init__":
            found.append(f"{module} imports a name that is not written there")
        elif package in PLACES and not any(_is_in(module, place) for place in PLACES[package]):
            found.append(f"{module} imports {name}")
        if waits:
            continue
        ours = package == "mmc_viz"
        heavy = _heavy(name) if ours else package not in sys.stdlib_module_names
        if package in OPTIONAL or (part in LIGHT and heavy):
            found.append(f"{module} imports {name} at its head")
    return found


def _heavy(name: str) -> bool:
    return target(name) in COMPUTE and target(name) not in LIGHT


def _is_in(module: str, place: str) -> bool:
    return module == place or module.startswith(place + ".")


def modules() -> dict[str, Path]:
    """Every module of ours by its name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        names = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(names[:-1] if names[-1] == "__init__" else names)] = path
    return found


def test_the_table_names_what_is_there_and_nothing_else():
    assert {part_of(module) for module in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_what_the_tables_allow(module):
    path = modules()[module]
    source = path.read_text(encoding="utf-8")
    assert violations(module, source, is_package=path.name == "__init__.py") == []


def test_the_table_has_no_circle():
    left = {part: set(may) for part, may in MAY_IMPORT.items()}
    while left:
        free = [part for part, may in left.items() if not may & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for part in free:
            del left[part]


def test_nothing_computed_reaches_upward():
    above = MAY_IMPORT.keys() - COMPUTE.keys()
    for part, may in COMPUTE.items():
        assert not may & above, part
    # A widget calls what computes and what draws; it is called by notebooks alone.
    assert MAY_IMPORT["widgets"] == {*COMPUTE, "figures"}
    assert [part for part, may in MAY_IMPORT.items() if "widgets" in may] == ["bench", "__init__"]


def test_the_scan_is_not_blind():
    """The imports that we know of are among those found; an empty scan would pass every table."""
    found = {module: imports(module, path.read_text()) for module, path in modules().items()}
    assert "torchvision" in found["mmc_viz.datasets.torchvision_readers"]
    assert "anywidget" in found["mmc_viz.widgets.threads"]
    assert "mmc_viz.checkpoints" in found["mmc_viz.commands.models"]
    assert "mmc_viz.centers" in found["mmc_viz.heads.hmc"]
    assert "playwright.sync_api" in found["mmc_viz.browser"]


@pytest.mark.parametrize(
    ("module", "source", "report"),
    [
        # other people's packages
        ("mmc_viz.centers", "import plotly", "imports plotly"),
        ("mmc_viz.centers", "import plotly.graph_objects as go", "imports plotly.graph_objects"),
        ("mmc_viz.centers", "from plotly import express", "imports plotly"),
        ("mmc_viz.training.loop", "def f():\n    import ipywidgets", "imports ipywidgets"),
        ("mmc_viz.paths", "async def f():\n    from IPython import display", "imports IPython"),
        ("mmc_viz.bundles", "class A:\n    import traitlets", "imports traitlets"),
        ("mmc_viz.evaluation", "try:\n    import anywidget\nexcept E:\n    pass", "anywidget"),
        ("mmc_viz.bench.ui", "def f():\n    import playwright", "imports playwright"),
        ("mmc_viz.browser", "import playwright", "imports playwright at its head"),
        ("mmc_viz.datasets.digits", "def f():\n    import torchvision", "imports torchvision"),
        ("mmc_viz.datasets.torchvision_readers", "import torchvision", "at its head"),
        ("mmc_viz.heads", "import tests.conftest", "imports tests.conftest"),
        # upward
        ("mmc_viz.paths", "from mmc_viz import widgets", "imports mmc_viz.widgets"),
        ("mmc_viz.paths", "import mmc_viz.widgets as w", "imports mmc_viz.widgets"),
        ("mmc_viz.paths", "def f():\n    from mmc_viz.widgets import x", "imports mmc_viz.widgets"),
        ("mmc_viz.paths", "from . import widgets", "imports mmc_viz.widgets"),
        ("mmc_viz.paths", "from .widgets.lab import x", "imports mmc_viz.widgets.lab"),
        ("mmc_viz.attacks.view", "from ..widgets import x", "imports mmc_viz.widgets"),
        ("mmc_viz.attacks.view", "from .. import widgets", "imports mmc_viz.widgets"),
        ("mmc_viz.datasets.dataset", "from mmc_viz import bench", "imports mmc_viz.bench"),
        ("mmc_viz.networks", "from mmc_viz.attacks import pgd", "imports mmc_viz.attacks"),
        ("mmc_viz.networks", "if TYPE_CHECKING:\n    from mmc_viz.paths import A", "mmc_viz.paths"),
        ("mmc_viz.bench.path", "from mmc_viz.commands import train", "imports mmc_viz.commands"),
        # sideways
        ("mmc_viz.widgets.lab", "from mmc_viz.gallery import x", "imports mmc_viz.gallery"),
        ("mmc_viz.widgets.lab", "def f():\n    import mmc_viz.commands", "mmc_viz.commands"),
        ("mmc_viz.widgets.lab", "import plotly", "imports plotly"),
        ("mmc_viz.commands.train", "def f():\n    import mmc_viz.widgets", "mmc_viz.widgets"),
        # in disguise
        ("mmc_viz.paths", 'importlib.import_module("mmc_viz.widgets")', "imports mmc_viz.widgets"),
        ("mmc_viz.paths", 'import_module("plotly.io")', "imports plotly.io"),
        ("mmc_viz.paths", '__import__("ipywidgets")', "imports ipywidgets"),
        ("mmc_viz.paths", 'import_module(f"mmc_viz.widgets.{name}")', "mmc_viz.widgets.?"),
        ("mmc_viz.paths", "import_module(name)", "a name that is not written there"),
        ("mmc_viz.paths", 'import_module(f"mmc_viz.{name}")', "imports mmc_viz.?"),
        ("mmc_viz.attacks.view", "from mmc_viz import load_model", "imports mmc_viz.load_model"),
        ("mmc_viz.attacks.view", "import mmc_viz", "imports mmc_viz"),
        # what `mmc-viz --help` would wait for
        ("mmc_viz.commands.train", "import torch", "imports torch at its head"),
        ("mmc_viz.commands.train", "from mmc_viz.training import train", "at its head"),
        ("mmc_viz", "from mmc_viz.checkpoints import load_model", "at its head"),
        ("mmc_viz.__main__", "import numpy", "imports numpy at its head"),
    ],
)
def test_a_planted_violation_is_reported(module, source, report):
    found = violations(module, source)
    assert found and all(line.startswith(f"{module} imports ") for line in found)
    assert report in "\n".join(found)


def test_inside_a_package_a_dot_means_the_package():
    at_fault = violations("mmc_viz.attacks", "from ..widgets import x", is_package=True)
    assert at_fault == ["mmc_viz.attacks imports mmc_viz.widgets"]
    assert violations("mmc_viz.attacks", "from .widgets import x", is_package=True) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("mmc_viz.heads", "import torch\nfrom mmc_viz.centers import spread_centers"),
        ("mmc_viz.heads", "from .centers import spread_centers"),
        ("mmc_viz.attacks.gradient", "from .balls import BALLS\nfrom ..objectives import resolve"),
        ("mmc_viz.commands.train", "import json\ndef run():\n    from mmc_viz import load_model"),
        ("mmc_viz.widgets.lab", "import ipywidgets\nfrom mmc_viz.bundles import pack"),
        ("mmc_viz.paths", "text = 'import plotly'  # import plotly"),
    ],
)
def test_what_is_allowed_is_not_reported(module, source):
    assert violations(module, source) == []
