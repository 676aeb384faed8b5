import re

import pytest
import torch

from mmc_viz.checkpoints import load_model
from mmc_viz.drawings import draw, opinion, to_digit
from mmc_viz.widgets import DrawDigit, replay
from mmc_viz.widgets.draw_digit import SEVEN, from_hex, to_hex

ZERO = draw([(16, 3), (23, 8), (23, 24), (16, 29), (9, 24), (9, 8), (16, 3)])


@pytest.fixture(scope="module")
def drawing():
    return DrawDigit.of(count=8)


def test_it_begins_with_a_seven_and_what_the_models_make_of_it(drawing):
    assert torch.equal(drawing.image, to_digit(SEVEN))
    assert list(drawing.picture) == drawing.image.flatten().tolist()
    assert [one["title"] for one in drawing.opinions] == ["SCE", "MMC"]
    for one, name in zip(drawing.opinions, ("digits-sce", "digits-mmc"), strict=True):
        epsilons = [0.05 * k for k in range(1, 9)]
        found = opinion(load_model(name), to_digit(SEVEN), epsilons=epsilons)
        assert (one["sees"], one["then"]) == (found.sees, found.then)
        assert one["eps"] == pytest.approx(found.eps)
        assert one["changed"] == found.changed.flatten().tolist()


def test_the_sentences_state_the_opinions(drawing):
    for one, sentence in zip(drawing.opinions, drawing.sentences, strict=True):
        title, sees, eps, then = re.fullmatch(
            r"(\w+) sees (\d); from ε = ([\d.]+) on it sees (\d)\.", sentence
        ).groups()
        assert (title, int(sees), int(then)) == (one["title"], one["sees"], one["then"])
        assert float(eps) == pytest.approx(one["eps"], abs=0.005)


def test_dots_survive_the_way_to_text_and_back():
    dots = torch.rand(32, 32, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(from_hex(to_hex(dots)), dots)
    assert to_hex(torch.eye(32, dtype=torch.bool)).startswith("80000000400000002")
    for wrong in ("", "0" * 255, "g" * 256):
        with pytest.raises(ValueError, match="`drawing` must be 256 hexadecimal digits"):
            from_hex(wrong)


def test_a_code_holds_the_drawing():
    one = DrawDigit.of(count=2, drawing=to_hex(ZERO))
    assert one.opinions[0]["sees"] == 0 and one.asked == to_hex(ZERO)
    again = replay(one.code)
    assert (again.code, again.opinions) == (one.code, one.opinions)


def test_the_browser_asks_about_what_it_shows():
    one = DrawDigit.of(count=2)
    one._receive(one, {"do": "look", "drawing": to_hex(ZERO)}, [])
    one.wait(60)
    assert not one.busy and one.opinions[1]["sees"] == 0
    one._receive(one, {"do": "look", "drawing": "0" * 256}, [])
    one.wait(60)
    assert one.status == "the drawing is empty: draw a digit first."
    one._receive(one, {"do": "look", "drawing": "no"}, [])
    assert "`drawing` must be" in one.status


def test_impossible_budgets_are_refused():
    with pytest.raises(ValueError, match="`count` must be at least 1"):
        DrawDigit.of(count=0)
