import pytest
import torch

from mmc_viz import load_dataset, load_model
from mmc_viz.attacks import pgd
from mmc_viz.audit import Tempered, blindness, slopes
from mmc_viz.widgets import TemperatureSlider, replay

SETTINGS = {
    "models": ("digits-sce", "digits-mmc"),
    "dataset": "digits",
    "images": range(12),
    "eps": 0.1,
    "steps": 4,
    "temperatures": (0.001, 1, 30),
}


@pytest.fixture(scope="module")
def data():
    return load_dataset("digits", limit=12)


@pytest.fixture
def slider():
    return TemperatureSlider.of(**SETTINGS)


def test_slopes_are_largest_entries_of_the_gradient(linear):
    """Of a linear model the margin's gradient is the difference of two rows of its weight."""
    model, images, labels = linear
    rival = model(images).scatter(1, labels[:, None], -torch.inf).argmax(1)
    expected = (model.weight[rival] - model.weight[labels]).abs().amax(1)
    torch.testing.assert_close(slopes(model, images, labels, objective="margin"), expected)


@pytest.mark.parametrize("temperature", [0.5, 2.0, 10.0])
def test_the_slope_at_a_temperature_is_that_of_softmax(linear, temperature):
    r"""Two classes: the slope is p / T times the difference of the rows, p the wrong class's."""
    model, images, _ = linear
    model.weight.data, model.bias.data = model.weight.data[:2], model.bias.data[:2]
    logits = model(images)
    labels = logits.argmax(1)
    wrong = (logits / temperature).softmax(1).gather(1, 1 - labels[:, None])[:, 0]
    expected = wrong / temperature * (model.weight[0] - model.weight[1]).abs().amax()
    found = slopes(Tempered(model, temperature), images, labels)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-12)


def test_a_slope_is_exactly_zero_where_float32_holds_nothing(linear):
    model, images, labels = linear
    gap = -(model(images).scatter(1, labels[:, None], -torch.inf).amax(1) - model(images).amax(1))
    temperature = (gap.min() / 200).item()
    assert (slopes(Tempered(model, temperature), images, labels) == 0).all()
    assert (slopes(Tempered(model, gap.max().item() / 50), images, labels) > 0).all()


def test_temperature_alone_masks_and_unmasks(data):
    """The finding of the lesson: no decision changes, and the attack's success does."""
    found = {
        name: blindness(
            load_model(name), data.inputs(), data.labels, eps=0.1, temperatures=[0.001, 1, 30]
        ).accuracy
        for name in ("digits-sce", "digits-mmc")
    }
    assert found["digits-sce"][0] > found["digits-sce"][1]
    assert found["digits-mmc"][1] > found["digits-mmc"][2]


def test_the_dots_are_those_of_an_attack(slider, data):
    assert slider.temperatures == [0.001, 1.0, 30.0] and slider.step == 1
    for panel, name in zip(slider.panels, SETTINGS["models"], strict=True):
        model = Tempered(load_model(name), 30)
        end = pgd(
            model,
            data.inputs(),
            data.labels,
            eps=0.1,
            steps=4,
            objective="cross_entropy",
            generator=torch.Generator().manual_seed(0),
        )
        assert panel["survives"][2] == (model(end).argmax(1) == data.labels).int().tolist()
        assert len(panel["slopes"]) == 3 and len(panel["slopes"][0]) == 12


def test_the_sentence_counts_the_dots(slider):
    for step in range(3):
        slider.step = step
        for panel, sentence in zip(slider.panels, slider.sentences, strict=True):
            flat = sum(slope == 0 for slope in panel["slopes"][step])
            alive = sum(panel["survives"][step])
            assert sentence.startswith(
                f"{panel['title']}: no slope on {flat} of 12 images; {alive}"
            )


def test_the_code_restores_temperature_and_dots(slider):
    slider.step = 2
    again = replay(slider.code)
    assert (again.step, again.panels, again.code) == (2, slider.panels, slider.code)


def test_the_step_stays_in_range(slider):
    slider.step = 9
    assert slider.step == 2


def test_temperatures_are_needed(data):
    with pytest.raises(ValueError, match="must hold at least one"):
        blindness(load_model("digits-sce"), data.inputs(), data.labels, eps=0.1, temperatures=[])
