import pytest
import torch

from mmc_viz.films import pack_film
from mmc_viz.widgets import ContourFilm, Prediction, replay

SETTINGS = {
    "heads": ("sce", "mmc"),
    "epochs": 2,
    "at": (0, 1, 2),
    "batch_size": 256,
    "images": tuple(range(100)),
}


@pytest.fixture(scope="module")
def opened():
    return ContourFilm.of(**SETTINGS)


def test_everything_is_sent_once(opened):
    assert opened.film == pack_film(opened.made)
    assert len(opened.film) < 2_000_000
    assert [reel.head for reel in opened.made.reels] == ["sce", "mmc"]
    assert opened.made.epochs == (0, 1, 2)


def test_the_training_draws_no_bar_beside_that_of_all_widgets(capsys):
    ContourFilm.of(heads=("sce",), epochs=1, at=(0, 1))
    assert capsys.readouterr().err == ""


def test_a_code_restores_the_film_bit_for_bit(opened):
    opened.step, opened.label, opened.image = 2, -1, 17
    again = replay(opened.code)
    assert (again.step, again.label, again.image) == (2, -1, 17)
    assert again.film == opened.film
    assert again.code == opened.code
    opened.step, opened.label, opened.image = 0, 0, -1


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("step=3&label=0&image=-1", "`step` must be 0 .. 2"),
        ("step=0&label=10&image=-1", "`label` must be -1 .. 9"),
        ("step=0&label=0&image=100", "`image` must be -1 .. 99"),
    ],
)
def test_a_view_out_of_range_is_refused(opened, view, words):
    code = opened.code.split("&step=")[0]
    with pytest.raises(ValueError, match=words):
        opened.restore(f"{code}&{view}")
    assert opened.step == 0


def test_while_locked_the_film_stays_in_the_kernel():
    guess = Prediction("Which?", {"loss": ["SCE", "MMC"]}, answer={"loss": "MMC"})
    film = ContourFilm.of(after=guess, **SETTINGS | {"epochs": 1, "at": (0, 1)})
    assert film.locked and film.film == b""
    assert film.made is not None
    guess.commit({"loss": "MMC"})
    assert film.film == pack_film(film.made)


def test_a_code_pasted_in_the_browser_trains_in_a_thread(opened):
    film = ContourFilm.of(**SETTINGS | {"epochs": 1, "at": (0, 1)})
    film._receive(None, {"do": "restore", "code": opened.code}, [])
    film.wait(120)
    assert film.status == "Restored." and not film.busy
    assert film.film == opened.film
    assert torch.equal(film.made.labels, opened.made.labels)
