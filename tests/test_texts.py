"""What may be printed on one line, and what of JSON may be kept."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmc_viz.texts import check_json, first_line, is_plain, shorten


@given(st.text())
def test_plain_text_is_one_line_without_controls_that_can_be_written(text):
    if is_plain(text):
        assert len(f"a{text}".splitlines()) == 1
        assert "\x1b" not in text and "\x7f" not in text
        assert not {unicodedata.bidirectional(sign) for sign in text} & {"RLO", "LRO", "PDF"}
        text.encode()


@pytest.mark.parametrize(
    "text", ["", "cat", "T-shirt/top", "Größe", "猫", "ا\u200cب", "<b>&", "👩\u200d🔬"]
)
def test_names_in_any_script_are_plain(text):
    assert is_plain(text)


@pytest.mark.parametrize(
    "text", ["\n", "a\rb", "\t", "\0", "\x1b[2J", "\x9b", "\u2028", "\ud800", "\u202e"]
)
def test_signs_that_act_are_not_plain(text):
    assert not is_plain(text) and not is_plain(f"猫{text}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_passes_can_be_written_and_printed(value):
    try:
        check_json(value)
    except ValueError as refusal:
        assert len(str(refusal).splitlines()) == 1
    else:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        assert len(text.splitlines()) == 1


def test_every_place_is_looked_at():
    for odd in ("\n", float("inf"), 2**63, -(2**63)):
        for value in (odd, [odd], {"a": [0, {"b": odd}]}, {"a": 1, "b": [[odd]]}):
            with pytest.raises(ValueError):
                check_json(value)
    with pytest.raises(ValueError, match="sign that acts"):
        check_json({"a": {"\n": 1}})
    check_json({"a": [2**63 - 1, -0.5, None, True, "b", {}]})


def test_depth_is_bounded_without_recursion():
    value = 0
    for depth in range(3_000):
        value = [value]
        if depth == 15:
            check_json(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        check_json(value)


def test_long_words_are_cut():
    assert shorten("a" * 300) == "a" * 300
    assert shorten("a" * 301) == "a" * 297 + "..."
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("a" * 999))) == 300
