"""Replay codes: what is written is read again, and nothing else."""

from dataclasses import dataclass
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmc_viz import replay


@dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    models: tuple[str, ...] = ("a",)
    images: tuple[int, ...] = (0,)
    epsilons: tuple[float, ...] = (0.0,)
    name: str = ""
    count: int = 0
    eps: float | int = 0.0
    flag: bool = False
    seed: int = 0


TEXT = st.text(max_size=12).filter(lambda text: text.isprintable())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(10**14), 10**14)
SETTINGS = st.builds(
    Settings,
    models=st.lists(TEXT.filter(bool), min_size=1, max_size=4).map(tuple),
    images=st.lists(st.integers(0, 200), max_size=40).map(tuple),
    epsilons=st.lists(NUMBERS, max_size=4).map(tuple),
    name=TEXT,
    count=st.integers(-(10**14), replay.MOST),
    eps=NUMBERS,
    flag=st.booleans(),
    seed=WHOLE,
)


@given(SETTINGS)
def test_what_is_written_is_read_again(settings):
    code = replay.write("a-widget", settings)
    kind, fields = replay.split(code)
    assert kind == "a-widget"
    assert replay.read(Settings, fields) == (settings, {})
    assert not any(letter.isspace() for letter in code)


@given(st.dictionaries(st.from_regex(r"[a-z]{8,12}", fullmatch=True), WHOLE, max_size=4))
def test_the_view_is_what_remains(view):
    code = replay.write("a-widget", Settings(), view)
    settings, rest = replay.read(Settings, replay.split(code)[1])
    assert settings == Settings()
    assert {name: replay.value_of(name, int, text) for name, text in rest.items()} == view


def test_a_code_can_be_read_by_people():
    settings = Settings(models=("fashion-sce", "fashion-mmc"), images=(0, 1, 2, 3, 7, 8), eps=0.06)
    assert replay.write("explorer", settings, {"step": 6, "run": "a b"}) == (
        "explorer?models=fashion-sce,fashion-mmc&images=0-3,7,8&epsilons=0&name=&count=0&eps=0.06"
        "&flag=false&seed=0&step=6&run=a%20b"
    )


def test_fields_left_out_keep_their_defaults():
    assert replay.read(Settings, replay.split("w?count=3")[1]) == (Settings(count=3), {})


def test_a_code_survives_a_mail_program():
    code = replay.write("explorer", Settings(images=tuple(range(0, 90, 2))))
    broken = "\n  ".join(code[i : i + 30] for i in range(0, len(code), 30))
    assert replay.split(broken) == replay.split(code)


@pytest.mark.parametrize(
    "code", ["", "x", "?a=1", "A?b=1", "a?b", "a?=1", "a?b=1&b=2", "a?b c=1&d", "a?" + "b" * 30_000]
)
def test_what_is_no_code_is_refused_in_one_line(code):
    with pytest.raises(ValueError) as refused:
        replay.split(code)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "pair",
    [
        "count=1.5",
        "count=",
        "count=9999999999999999999999",
        "count=20001",
        "eps=nan",
        "eps=inf",
        "eps=x",
        "flag=1",
        "images=5-1",
        "images=0-99999999",
        "images=1,,2",
        "name=%ff",
    ],
)
def test_a_value_of_another_kind_is_refused(pair):
    with pytest.raises(ValueError):
        replay.read(Settings, replay.split(f"w?{pair}")[1])


@given(st.text(max_size=60))
def test_whatever_is_pasted_is_read_or_refused(text):
    for code in (text, f"w?{text}", f"w?count={text}&images={text}&eps={text}&models={text}"):
        try:
            settings, _ = replay.read(Settings, replay.split(code)[1])
        except ValueError:
            continue
        assert isinstance(settings, Settings)


@given(TEXT)
def test_texts_are_written_as_the_browser_writes_them(text):
    written = replay.write("w", Settings(name=text)).partition("name=")[2].partition("&")[0]
    assert unquote(written) == text
    # encodeURIComponent leaves these alone, and nothing else.
    assert set(written) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()%"
    )
