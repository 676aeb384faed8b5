import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmc_viz.predictions import (
    Entry,
    Field,
    Ledger,
    curve_error,
    curve_sentence,
    read_fields,
    tenth,
    write_number,
)

PERCENT = st.integers(0, 100)


# ---- fields --------------------------------------------------------------------------------------


def test_fields_are_read_as_a_notebook_writes_them():
    fields = read_fields({"SCE": (0, 30), "left": (0.0, 100.0, "%"), "first?": ["SCE", "MMC"]})
    assert fields == [
        Field("SCE", 0, 30),
        Field("left", 0.0, 100.0, "%"),
        Field("first?", choices=("SCE", "MMC")),
    ]
    assert [field.whole for field in fields[:2]] == [True, False]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "at least one thing"),
        ({"SCE": (30, 0)}, "must rise"),
        ({"SCE": (3, 3)}, "must rise"),
        ({"first?": ["SCE"]}, "two or more"),
        ({"first?": ["SCE", "SCE"]}, "two or more"),
    ],
)
def test_fields_that_leave_nothing_to_guess_are_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        read_fields(fields)


@pytest.mark.parametrize("guess", [-1, 31, 2.5, "12", None, True, float("nan")])
def test_a_guess_off_the_scale_is_refused(guess):
    with pytest.raises(ValueError, match="SCE: enter a whole number from 0 to 30"):
        Field("SCE", 0, 30).checked(guess)


def test_a_guess_off_the_menu_is_refused():
    with pytest.raises(ValueError, match="choose one of SCE, MMC"):
        Field("first?", choices=("SCE", "MMC")).checked("both")


def test_a_whole_guess_from_the_browser_becomes_whole():
    assert type(Field("SCE", 0, 30).checked(12.0)) is int


# ---- scores --------------------------------------------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_score_of_a_number_is_its_error_in_percent_of_the_scale(guess, answer):
    assert Field("SCE", 0, 30).score(guess, answer) == pytest.approx(100 * abs(guess - answer) / 30)


def test_a_choice_is_right_or_wrong():
    field = Field("first?", choices=("SCE", "MMC"))
    assert (field.score("SCE", "SCE"), field.score("SCE", "MMC")) == (0, 100)


@given(st.lists(st.tuples(PERCENT, PERCENT), min_size=1))
def test_the_score_of_a_curve_is_its_mean_absolute_error(points):
    guess, truth = map(list, zip(*points, strict=True))
    error = curve_error(guess, truth)
    assert 0 <= error <= 100
    assert (error == 0) == (guess == truth)
    assert error == curve_error(truth, guess)
    assert error == pytest.approx(sum(abs(g - t) for g, t in points) / len(points))


def test_a_curve_is_scored_at_all_its_budgets():
    assert curve_error([100, 50, 0], [90, 50, 20]) == 10
    with pytest.raises(ValueError, match="each of the 3 budgets; got 2"):
        curve_error([1, 2], [1, 2, 3])


# ---- sentences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guess", "sentence"),
    [
        (12, "SCE: 12, exactly as you said."),
        (13, "SCE: 12; you said 13, 1 too high. Close."),
        (8, "SCE: 12; you said 8, 4 too low. Not far off."),
        (30, "SCE: 12; you said 30, 18 too high. A surprise: now there is something to explain."),
    ],
)
def test_a_sentence_says_guess_answer_and_gap(guess, sentence):
    assert Field("SCE", 0, 30).sentence(guess, 12) == sentence


def test_units_and_decimals_stay_readable():
    field = Field("left", 0.0, 100.0, "%")
    assert field.sentence(10.0, 0.1 + 0.2).startswith("left: 0.3 %; you said 10 %, 9.7 % too high")


def test_a_choice_in_words():
    field = Field("Which falls first?", choices=("SCE", "MMC"))
    assert field.sentence("SCE", "SCE") == "Which falls first? SCE. You were right."
    assert "MMC; you chose SCE" in field.sentence("SCE", "MMC")
    plain = Field("least scatter", choices=("SCE", "MMC"))
    assert plain.sentence("MMC", "MMC") == "least scatter: MMC. You were right."


def test_a_curve_in_words_names_its_largest_gap():
    said = curve_sentence("MMC", [0, 0.06, 0.1], [100, 80, 0], [90, 20.5, 5])
    assert said == (
        "MMC: off by 24.8 percentage points on average, most at ε = 0.06: 59.5 too high."
    )
    assert curve_sentence("MMC", [0], [5], [5]) == "MMC: exactly as you drew it."


@pytest.mark.parametrize(
    ("value", "text"),
    [(12, "12"), (0.06, "0.06"), (30.0, "30"), (1 / 3, "0.3333"), (2e-5, "0.00002")],
)
def test_numbers_are_written_briefly(value, text):
    assert write_number(value) == text


def test_tenths_round_halves_upwards():
    assert [tenth(0.25), tenth(0.75), tenth(12)] == ["0.3", "0.8", "12.0"]


# ---- ledger --------------------------------------------------------------------------------------


def entry(question="How many?", name="SCE", score=10.0):
    return Entry("08", question, name, "15", "12", score)


def test_the_ledger_keeps_what_is_recorded_and_averages_it():
    ledger = Ledger()
    assert ledger.score is None and ledger.entries == []
    ledger.record([entry(score=10.0), entry(name="MMC", score=20.0)])
    ledger.record([entry("And now?", score=60.0)])
    assert [one.score for one in ledger.entries] == [10.0, 20.0, 60.0]
    assert ledger.score == 30.0
    assert "3 guesses, off by 30.0 of 100" in repr(ledger)


def test_only_the_first_commitment_counts():
    ledger = Ledger()
    ledger.record([entry(score=50.0)])
    ledger.record([entry(score=0.0)])
    assert ledger.score == 50.0


def test_the_ledger_shows_itself_as_a_table():
    ledger = Ledger()
    assert "No prediction had been committed" in ledger._repr_html_()
    ledger.record([entry("Is 1 < 2?", score=10.0)])
    shown = ledger._repr_html_()
    assert "Is 1 &lt; 2?" in shown and "10.0 of 100" in shown and "<table" in shown
    ledger.clear()
    assert ledger.entries == []
