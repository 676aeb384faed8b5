"""What the READMEs show, run as it stands there."""

import re
from pathlib import Path

import pytest

from mmc_viz.__main__ import COMMANDS
from mmc_viz.checkpoints import load_card, shipped_models
from mmc_viz.heads import HEADS
from mmc_viz.results import find

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def heads():
    """Forget in the end the heads that a test has registered: later tests list them all."""
    before = dict(HEADS)
    yield HEADS
    HEADS.clear()
    HEADS.update(before)


@pytest.mark.usefixtures("unchecked")
def test_python_examples_run_one_after_the_other(heads, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 2
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["report"].masked
    assert heads["huber"] is names["Huber"]


def test_every_command_and_every_module_is_described():
    for command in COMMANDS:
        assert f"mmc-viz {command}" in README
    package = REPOSITORY / "mmc_viz"
    for path in package.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            if path.stem not in ("__init__",):
                assert f"`{path.stem}`" in README, path


def test_the_data_readme_names_the_command_of_every_shipped_model():
    text = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")
    assert len(shipped_models()) >= 6
    for name in shipped_models():
        assert load_card(name).command in text


@pytest.mark.parametrize("name", ["fashion-sce", "fashion-mmc"])
def test_the_table_at_the_top_says_what_the_cards_hold(name):
    wanted = {"attack": "pgd", "eps": 0.06, "steps": 50}
    entries = [entry for entry in load_card(name).measured if wanted.items() <= entry.items()]
    measured = {entry["objective"]: entry for entry in entries}
    assert len(measured) == len(entries) == 3
    shares = [measured["margin"]["clean_accuracy"]]
    shares += [measured[o]["accuracy"] for o in ("cross_entropy", "distance", "margin")]
    cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
    assert f"| `{name}` | {cells} |" in README


def test_what_is_said_of_cifar10_is_what_the_cards_hold():
    text = " ".join(README.split())
    clean = []
    for name in ("cifar10-sce", "cifar10-mmc"):
        left = []
        for objective in ("cross_entropy", "margin"):
            wanted = {"attack": "pgd", "steps": 40, "objective": objective, "eps": 8 / 255}
            measured = find(load_card(name), wanted)
            assert measured["images"] == 1000
            left.append(f"{100 * measured['accuracy']:.1f} %")
        clean.append(f"{100 * measured['clean_accuracy']:.1f} %")
        assert re.search(rf"`{name}` {left[0]}( on cross-entropy)? and {left[1]}", text)
    assert f"ResNet-20, {clean[0]} and {clean[1]} clean" in text
