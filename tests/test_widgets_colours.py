"""The colours of the widgets: those of the figures, and apart for colour-blind eyes."""

import re
from itertools import combinations

import numpy as np
import pytest

from mmc_viz.figures.style import THEMES
from mmc_viz.widgets.assembling import CSS

BASE = (CSS / "base.css").read_text(encoding="utf-8")
PAGES = {"light": "#ffffff", "dark": "#111111"}
#: Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SEEN = {
    "all colours": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
VERDICTS_APART = 20.0  # in Lab; 2.3 is just noticeable
CLASSES_APART = {
    "light": 7.9,
    "dark": 7.9,
    "both": 5.9,
}  # in Lab; the shape of the marker tells classes apart where colour is close


def colours(theme):
    """Custom properties of a theme, as the browser resolves them."""
    light, dark = BASE.partition('.mmcviz[data-theme="dark"] {')[::2]
    found = dict(re.findall(r"--mmcviz-([\w-]+): (#\w+);", light))
    if theme == "dark":
        found |= dict(re.findall(r"--mmcviz-([\w-]+): (#\w+);", dark))
    return found


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one, other, eyes):
    first, second = (lab(np.array(SEEN[eyes]) @ linear(colour)) for colour in (one, other))
    return float(np.linalg.norm(first - second))


def contrast(one, other):
    lights = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) + 0.05 for c in (one, other))
    return lights[1] / lights[0]


def test_the_measure_knows_black_from_white():
    assert distance("#000000", "#ffffff", "all colours") == pytest.approx(100, abs=0.01)
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    # a red and a green that people without green cones confuse
    assert distance("#c85a3c", "#6e7d14", "all colours") > 50
    assert distance("#c85a3c", "#6e7d14", "no green cones") < 25


@pytest.mark.parametrize("theme", PAGES)
def test_they_are_the_colours_of_the_figures(theme):
    own, figures = colours(theme), THEMES[theme]
    assert [own[f"class-{i}"] for i in range(10)] == list(figures.classes)
    assert (own["right"], own["wrong"]) == (figures.right, figures.wrong)
    assert own["doubtful"] == figures.doubtful


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("theme", PAGES)
def test_right_and_wrong_stay_apart(theme, eyes):
    own = colours(theme)
    assert distance(own["right"], own["wrong"], eyes) > VERDICTS_APART


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("theme", THEMES)
def test_classes_stay_apart(theme, eyes):
    classes = THEMES[theme].classes
    near = {(i, j): distance(classes[i], classes[j], eyes) for i, j in combinations(range(10), 2)}
    assert min(near.values()) > CLASSES_APART[theme], min(near, key=near.get)


@pytest.mark.parametrize("theme", PAGES)
def test_they_can_be_seen_and_read_on_the_page(theme):
    own = colours(theme)
    for name in ("right", "wrong", "doubtful", *(f"class-{i}" for i in range(10))):
        assert contrast(own[name], PAGES[theme]) >= 3, name
    assert contrast(own["wrong-text"], PAGES[theme]) >= 4.5
