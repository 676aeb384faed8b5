"""The first notebook in real JupyterLab: the self-check, and a replayed picture."""

import re

import pytest
from lessons import assert_clean, bring_into_view, said, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def start(open_lesson):
    return open_lesson("00_start_here.ipynb")


def test_the_self_check_is_green_and_a_word_went_there_and_back(start):
    lab, student = start
    root = student.page.locator(".mmcviz-selfcheck")
    bring_into_view(root)
    student.page.wait_for_selector('.mmcviz-selfcheck[data-passed="true"]')
    verdicts = root.locator(".mmcviz-verdict").all_inner_texts()
    assert verdicts == ["✔ works"] * 6
    assert re.search(r"a word went there and back in \d+ m?s", root.inner_text())
    assert said(root) == "Everything works. You can begin."
    assert_clean(student)


def test_the_first_picture_and_its_replay_show_what_they_should(start):
    lab, student = start
    explorers = student.page.locator(".mmcviz-explorer")
    assert explorers.count() == 2
    bring_into_view(explorers.nth(1))
    until(explorers.nth(1), ready="true")
    assert explorers.nth(1).get_attribute("data-step") == "5"
    assert not explorers.nth(1).locator(".mmcviz-slider").is_visible()
    assert lab.value("again.code") == lab.value("first.code").replace("step=0", "step=5")


def test_a_question_starts_no_heartbeat(start, monkeypatch):
    """One that is stopped before it has begun opens sockets until there are no more."""
    lab, _ = start
    start = "jupyter_client.channels.HBChannel.start"
    monkeypatch.setattr(start, lambda self: pytest.fail("its heart beats"))
    assert lab.value("1 + 1") == 2
