import re

import pytest

from mmc_viz.disturbances import pack_disturbances
from mmc_viz.widgets import NoiseBench, replay

SETTINGS = {
    "models": ("digits-sce", "digits-mmc"),
    "dataset": "digits",
    "images": (0, 1, 2, 5, 8),
    "sigmas": 3,
    "angles": 5,
}


@pytest.fixture(scope="module")
def opened():
    return NoiseBench.of(**SETTINGS)


@pytest.fixture
def bench(opened):
    opened.noise, opened.turn = 0, 2
    return opened


def test_it_begins_with_the_images_as_they_are():
    bench = NoiseBench.of(**SETTINGS)
    assert (bench.noise, bench.turn) == (0, 2)
    found = bench.disturbances
    assert found.sigmas == (0, 0.15, 0.3) and found.degrees == (-40, -20, 0, 20, 40)
    assert bench.bench == pack_disturbances(found)


@pytest.mark.parametrize("noise", range(3))
@pytest.mark.parametrize("turn", range(5))
def test_the_sentence_states_the_numbers(bench, noise, turn):
    bench.noise, bench.turn = noise, turn
    found = bench.disturbances
    said = bench.sentence.replace("−", "-")
    assert said.startswith(
        f"Noise σ = {found.sigmas[noise]:g}, turned by {found.degrees[turn]:g}°: "
    )
    counts = re.findall(r"(\w+) gets (\d+) of 5 right \((\d+) %\)", said)
    for (title, right, percent), wanted in zip(counts, ("SCE", "MMC"), strict=True):
        assert title == wanted
        assert int(right) == int((found.predictions[title][noise, turn] == found.labels).sum())
        assert int(percent) == 20 * int(right)
    change = float(re.search(r"changed by ([\d.]+) on", said)[1])
    assert change == pytest.approx(float(found.change[noise, turn]), abs=6e-4)


def test_the_nearest_strengths_answer(bench):
    found = bench.disturbances
    assert bench.right("MMC", sigma=0.16, degrees=-24) == int(found.right("MMC")[1, 1])
    assert bench.right("SCE") == int(found.right("SCE")[0, 2])


def test_places_out_of_range_are_clamped(bench):
    bench.noise, bench.turn = 99, -1
    assert (bench.noise, bench.turn) == (2, 0)


def test_a_code_restores_the_situation_to_the_byte(bench):
    bench.noise, bench.turn = 1, 4
    again = replay(bench.code)
    assert isinstance(again, NoiseBench)
    assert (again.bench, again.code, again.sentence) == (bench.bench, bench.code, bench.sentence)


def test_other_noise_is_drawn_at_the_same_place():
    bench = NoiseBench.of(**SETTINGS)
    bench.noise, bench.turn = 1, 3
    before = bench.bench
    bench.do_redraw()
    bench.wait(60)
    assert bench.settings.seed == 1 and "seed=1" in bench.code
    assert bench.bench != before
    assert (bench.noise, bench.turn) == (1, 3)
    assert bench.status == "This is the noise of seed 1."


@pytest.mark.parametrize(
    "settings",
    [{"sigma": 0}, {"sigma": 9}, {"sigmas": 1}, {"sigmas": 99}, {"angles": 4}, {"degrees": 200}],
)
def test_impossible_settings_are_refused(settings):
    name = next(iter(settings))
    with pytest.raises(ValueError, match=f"`{name}`"):
        NoiseBench.of(**SETTINGS | settings)
