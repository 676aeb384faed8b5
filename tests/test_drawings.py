import pytest
import torch

from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.drawings import SIDE, draw, opinion, to_digit
from mmc_viz.networks import outputs

EPSILONS = [k / 50 for k in range(1, 21)]


def field(*rows_and_columns):
    bitmap = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    for rows, columns in rows_and_columns:
        bitmap[rows, columns] = True
    return bitmap


def test_each_pixel_counts_the_dots_of_a_block_as_the_data_set_does():
    """A field that needs no fitting: ink from row 1 to row 30 in the middle columns."""
    picture = to_digit(field((slice(1, 31), slice(14, 18))))
    columns = picture[0, 0].float() * 16 / 255
    wanted = torch.zeros(8, 8)
    wanted[:, 3:5] = 8  # two of four columns, all four rows
    wanted[[0, 7], 3:5] = 6  # one row of four is empty
    torch.testing.assert_close(columns, wanted, atol=0.05, rtol=0)
    levels = {round(v * 255 / 16) for v in range(17)}
    assert set(picture.flatten().tolist()) <= levels
    assert set(load_dataset("digits", limit=50).images.flatten().tolist()) <= levels


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (6, 0), (-5, 3)])
def test_where_on_the_field_one_draws_does_not_matter(dx, dy):
    lines = [(12, 10), (20, 10), (15, 22)]
    moved = [(x + dx, y + dy) for x, y in lines]
    assert torch.equal(to_digit(draw(lines)), to_digit(draw(moved)))


def test_small_drawings_are_made_as_tall_as_the_field():
    small, tall = draw([(14, 12), (14, 20)]), draw([(14, 2), (14, 29)])
    for bitmap in (small, tall):
        rows = to_digit(bitmap)[0, 0].amax(dim=1) > 0
        assert rows.all()


def test_a_line_has_ink_along_its_way_and_nowhere_else():
    bitmap = draw([(5, 16), (25, 16)])
    assert bitmap[16, 5:26].all() and bitmap[15, 15] and bitmap[17, 15]
    assert not bitmap[:13].any() and not bitmap[20:].any()


def test_an_empty_field_is_refused():
    with pytest.raises(ValueError, match="the drawing is empty"):
        to_digit(field())


@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_models_read_plain_drawings(name):
    model = load_model(name)
    for digit, lines in {
        0: [[(16, 3), (23, 8), (23, 24), (16, 29), (9, 24), (9, 8), (16, 3)]],
        1: [[(11, 9), (17, 3), (17, 29)]],
        7: [[(8, 5), (24, 5), (13, 27)], [(12, 16), (21, 16)]],
    }.items():
        logits, _ = outputs(model, to_digit(draw(*lines)) / 255)
        assert int(logits.argmax()) == digit


@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_an_opinion_is_the_models_and_its_change_is_real_and_within_the_budget(name):
    model = load_model(name)
    picture = to_digit(draw([(8, 5), (24, 5), (13, 27)]))
    found = opinion(model, picture, epsilons=EPSILONS)
    logits, _ = outputs(model, picture / 255)
    assert found.sees == int(logits.argmax())
    logits, _ = outputs(model, found.changed / 255)
    assert found.then == int(logits.argmax()) != found.sees
    change = (found.changed.float() - picture.float()).abs().max() / 255
    assert change <= found.eps + 1 / 255  # a budget is met to less than one grey level
    assert any(found.eps == pytest.approx(eps) for eps in EPSILONS)
    smaller = [eps for eps in EPSILONS if eps < found.eps - 1e-6]
    assert opinion(model, picture, epsilons=smaller).eps is None


def test_what_no_budget_changes_has_no_change():
    found = opinion(load_model("digits-sce"), to_digit(draw([(16, 3), (16, 29)])), epsilons=[1e-6])
    assert (found.eps, found.then, found.changed) == (None, None, None)
