"""The benchmark's own arithmetic; nothing is timed here."""

import pytest

from mmc_viz.bench import TOPICS
from mmc_viz.bench.timing import take_turns
from mmc_viz.commands import bench


def test_contestants_take_turns_and_the_median_counts():
    order, now = [], [0.0]
    # What each run of a contestant takes: the warm-up first, then the rounds.
    takes = {"a": iter([100, 1, 9, 2]), "b": iter([100, 4, 5, 50])}

    def run(name):
        def contestant():
            order.append(name)
            now[0] += next(takes[name])

        return contestant

    contestants = {name: run(name) for name in takes}
    medians = take_turns(contestants, rounds=3, clock=lambda: now[0])
    assert order == ["a", "b"] * 4
    assert medians == {"a": 2, "b": 5}


def test_unknown_topics_are_named(monkeypatch):
    import argparse

    with pytest.raises(ValueError, match=f"one of {', '.join(TOPICS)}; got 'speed'"):
        bench.run(argparse.Namespace(topics=["speed"], json=None))
