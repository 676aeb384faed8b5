"""Every figure made from the shipped models, at a small size; and the command that writes them."""

import dataclasses
import json
import re
from functools import cached_property, partial

import pytest
import torch

from mmc_viz import figures
from mmc_viz.attacks import fmn
from mmc_viz.audit import surrogate
from mmc_viz.figures.shown import Figure
from mmc_viz.gallery import MAKERS, Scene, feature_space, training
from mmc_viz.training import TrainConfig


@pytest.fixture(scope="module")
def scene():
    return Scene(torch.device("cpu"), 40)


@pytest.fixture
def short(monkeypatch):
    """Runs of two epochs in place of sixty, distances by a few steps, intervals of few samples,
    an imitation that has learned little."""
    attack = partial(fmn, steps=10, starts=1)
    brief = partial(feature_space.density_against_distance, attack=attack, samples=100)
    monkeypatch.setattr(feature_space, "density_against_distance", brief)
    for module in (feature_space, training):
        monkeypatch.setattr(module, "TrainConfig", partial(TrainConfig, epochs=2))
    monkeypatch.setattr(training, "EPOCHS", (0, 2))
    monkeypatch.setattr(surrogate, "_STEPS", 15)


@pytest.mark.usefixtures("short", "unchecked")
@pytest.mark.parametrize("name", MAKERS)
def test_each_figure_is_made_from_the_shipped_models(name, scene, tmp_path, monkeypatch):
    monkeypatch.setenv("MMC_VIZ_CACHE", str(tmp_path))
    exhibit = MAKERS[name](scene, name)
    assert exhibit.name == name and exhibit.note
    for theme in ("light", "dark"):
        figure = exhibit.draw(theme)
        assert isinstance(figure, Figure)  # the one that is in a notebook at once
        assert figure.layout.font.color == figures.style.THEMES[theme].text
        assert len(figure.data) > 0 or figure.layout.annotations
        assert "NaN" not in json.dumps(figure.to_plotly_json(), default=str)
    assert re.search(r"\d", exhibit.description)


@pytest.mark.usefixtures("short", "unchecked")
@pytest.mark.parametrize(
    "name", ["centers", "feature-contours", "density-distance", "loss-surface"]
)
def test_the_name_of_a_class_is_never_markup(name):
    class Hostile(Scene):
        @cached_property
        def data(self):
            names = [f"<img src=x onerror=alert({label})>" for label in range(10)]
            return dataclasses.replace(super().data, class_names=names)

    exhibit = MAKERS[name](Hostile(torch.device("cpu"), 16), name)
    text = json.dumps(exhibit.draw("light").to_plotly_json(), default=str)
    assert "&lt;img src=x" in text and "<img" not in text


def test_every_figure_of_the_library_is_shown():
    """What is drawn by a public function stands on the page."""
    public = {
        name
        for name, value in vars(figures).items()
        if callable(value) and getattr(value, "__module__", "").startswith("mmc_viz.figures.")
    } - {"Exhibit", "save", "write_page", "description"}
    used = set()
    for module in ("attacking", "evidence", "feature_space", "training"):
        path = f"{feature_space.__file__.removesuffix('feature_space.py')}{module}.py"
        with open(path, encoding="utf-8") as file:
            used |= set(re.findall(r"figures\.(\w+)", file.read()))
    assert used == public


def test_the_command_writes_the_page_and_says_what_is_on_it(run, tmp_path):
    out = tmp_path / "page.html"
    status, printed, said = run("gallery", "--only", "centers", "gram", "--out", out, "--quiet")
    assert (status, said) == (0, "")
    assert "centers            10 class centers in 3 dimensions" in printed
    text = out.read_text(encoding="utf-8")
    assert re.findall(r'<figure id="(.*?)">', text) == ["centers", "gram"]


def test_the_command_refuses_what_it_cannot_do(run, tmp_path):
    status, _, said = run("gallery", "--only", "mona-lisa", "--out", tmp_path / "page.html")
    assert status == 2 and "`--only` must name some of centers, gram" in said
    status, _, said = run("gallery", "--images", "0", "--out", tmp_path / "page.html")
    assert status == 2 and "`limit` must be" in said
    status, _, said = run("gallery", "--out", tmp_path / "none" / "page.html")
    assert status == 2 and "cannot be written" in said
    assert not (tmp_path / "page.html").exists()
