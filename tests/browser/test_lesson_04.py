"""The lesson on training in real JupyterLab: start, pause, rewind, and look back."""

import re

import pytest
import torch
from lessons import (
    all_differ,
    assert_clean,
    bring_into_view,
    commit,
    in_both_themes,
    place_of,
    said,
    until,
)
from lessons import pictures as pictures_in

from mmc_viz.widgets.assembling import JS

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lesson(open_lesson):
    """The notebook after Run All: the server, the student's page."""
    return open_lesson("04_train_both_live.ipynb")


@pytest.fixture(scope="module")
def trained(lesson):
    """The trainer of thirty epochs, unlocked by a guess."""
    lab, student = lesson
    commit(student.page.locator(".mmcviz-prediction").first)
    root = student.page.locator(".mmcviz-trainer").nth(1)
    bring_into_view(root)
    until(root, frames=31, ready="true")
    return root


def pictures(root):
    return pictures_in(root, ".mmcviz-canvas")


def settle(student, root):
    """Wait until nothing runs and nothing moves."""
    until(root, busy="false")
    student.page.wait_for_timeout(600)


def test_run_all_leaves_no_error_and_the_first_picture_comes_early(lesson):
    _, student = lesson
    assert_clean(student)
    assert 0 <= place_of(student, ".mmcviz-trainer") <= 2
    first = student.page.locator(".mmcviz-trainer").first
    assert first.get_attribute("data-ready") == "true"
    assert not first.locator(".mmcviz-buttons").is_visible()  # nothing to press before the guess


def test_what_is_asked_for_stays_in_the_kernel_until_the_guess(lesson):
    lab, student = lesson
    assert student.page.locator('.mmcviz-trainer[data-locked="true"]').count() == 2
    for name in ("trainer", "slow"):
        assert lab.value(f"[{name}.numbers, len({name}.maps)]") == [[], 0]


def test_looking_back_moves_pictures_and_says_the_duels_numbers(lesson, trained):
    lab, student = lesson
    slider = trained.locator(".mmcviz-slider")
    history = lab.value(
        "[[(s.accuracy, s.loss) for s in moment.sides] for moment in trainer.duel.history]"
    )
    slider.press("Home")
    for epoch in range(4):
        found = re.findall(r"([\d.]+) % right, loss ([\d.]*\d)", said(trained))
        assert said(trained).startswith(f"Epoch {epoch} of 30: SCE ")
        for (right, loss), (accuracy, value) in zip(found, history[epoch], strict=True):
            assert float(right) == pytest.approx(100 * accuracy, abs=0.05)
            assert float(loss) == pytest.approx(value, rel=0.005)
        before = pictures(trained)
        slider.press("ArrowRight")
        after = pictures(trained)
        assert len(before) == 6 and all_differ(before, after)
    student.wait_for_kernel()
    assert lab.value("[trainer.epoch, trainer.sentence]") == [4, said(trained)]
    slider.press("End")
    student.wait_for_kernel()
    assert lab.value("[trainer.epoch, trainer.sentence]") == [-1, said(trained)]


def test_a_point_is_found_with_the_keyboard(lesson, trained):
    lab, _ = lesson
    canvas = trained.locator(".mmcviz-map").first
    canvas.focus()
    before = pictures(trained)
    canvas.press("ArrowRight")
    canvas.press("ArrowRight")
    assert pictures(trained) != before
    number, truth, sce, mmc = re.fullmatch(
        r"Test image (\d+), a (\d): SCE sees (\d), MMC sees (\d)\.",
        trained.locator(".mmcviz-caption p").inner_text(),
    ).groups()
    sides = "[int(s.predictions[k]) for s in trainer.duel.history[-1].sides]"
    seen = lab.value(f"(lambda k: [int(trainer.labels[k]), *{sides}])({number})")
    assert seen == [int(truth), int(sce), int(mmc)]


def test_the_tint_is_the_class_that_the_head_lets_win(lesson, trained):
    """The browser decides this by itself, from four numbers a class."""
    lab, student = lesson
    points = (20 * torch.randn(100, 2, generator=torch.Generator().manual_seed(0))).tolist()
    source = (JS / "training_maps.js").read_text()
    source = re.sub(r"^import .*\n", "", re.sub(r"^export ", "", source, flags=re.M), flags=re.M)
    for side in (0, 1):
        regions = lab.value(f"trainer.duel.history[-1].sides[{side}].regions.flatten().tolist()")
        found = student.page.evaluate(
            """([source, regions, points]) => {
              const winnerAt = new Function(`${source}; return winnerAt;`)();
              return points.map(([x, y]) => winnerAt(regions, x, y));
            }""",
            [source, regions, points],
        )
        lab.ask("import torch")
        logits = f"trainer.duel.models()[{side}].head.logits(torch.tensor({points}))"
        wanted = lab.value(f"{logits}.argmax(dim=1).tolist()")
        assert len(set(wanted)) > 5
        assert sum(a != b for a, b in zip(found, wanted, strict=True)) <= 1  # one on a border


def test_rewind_step_start_and_pause(lesson, trained):
    lab, student = lesson
    page = student.page
    first = page.locator(".mmcviz-trainer").first.get_attribute("data-stamp")
    trained.get_by_role("button", name="Rewind").click()
    until(trained, taken="0", frames="1")
    settle(student, trained)
    assert trained.get_attribute("data-stamp") == first
    assert said(trained).startswith("Epoch 0 of 30: ")

    trained.get_by_role("button", name="One batch").click()
    until(trained, taken="1")
    assert said(trained).startswith("Epoch 0 + 1/12 of 30: ")
    trained.get_by_role("button", name="One epoch").click()
    until(trained, taken="12", busy="false")
    stamp = lab.value("trainer.stamp")

    trained.get_by_role("button", name="Start").click()
    until(trained, busy="true")
    page.wait_for_function(
        "(root) => Number(root.dataset.taken) > 14", arg=trained.element_handle()
    )
    trained.get_by_role("button", name="Pause").click()
    settle(student, trained)
    names = "[t.name for t in __import__('threading').enumerate()]"
    assert "live-trainer-work" not in lab.value(names)
    assert 14 < lab.value("trainer.taken") < 360
    assert lab.value("trainer.sentence") == said(trained)

    # Back and up to the same batch: the same weights.
    lab.ask("trainer.rewind(); trainer.train(epochs=1)")
    until(trained, taken="12", stamp=stamp)


def test_the_code_below_the_figure_is_the_kernels(lesson, trained):
    lab, student = lesson
    settle(student, trained)
    trained.locator(".mmcviz-code summary").click()
    assert trained.locator(".mmcviz-code input").first.input_value() == lab.value("trainer.code")
    code = lab.value("trainer.code").replace("taken=12", "taken=3").split("&stamp")[0]
    trained.locator(".mmcviz-code input").last.fill(code)
    trained.get_by_role("button", name="Restore").click()
    until(trained, taken="3")


def test_settings_set_up_another_run(lesson, trained):
    lab, student = lesson
    settle(student, trained)
    box = trained.locator(".mmcviz-setup")
    box.locator("summary").click()
    selects = box.locator("select")
    selects.nth(0).select_option("mmc")
    selects.nth(1).select_option("lgm")
    selects.nth(2).select_option("9")
    selects.nth(3).select_option("0.3")
    for field, value in zip(box.locator("input").all(), ("5", "2", "7"), strict=True):
        field.fill(value)
    before = pictures(trained)
    box.get_by_role("button", name="Set up anew").click()
    trained.get_by_text("Set up: press Start.").wait_for()
    settle(student, trained)
    assert pictures(trained) != before
    assert re.match(r"Epoch 0 of 2: MMC [\d.]+ % right, loss [\d.]+; LGM ", said(trained))
    settings = lab.value("vars(trainer.settings)")
    assert settings == {
        "heads": ["mmc", "lgm"],
        "dataset": "digits",
        "dim": 9,
        "epochs": 2,
        "learning_rate": 0.3,
        "radius": 5,
        "seed": 7,
    }
    box.locator("input").first.fill("")
    box.get_by_role("button", name="Set up anew").click()
    trained.get_by_text("`radius` must be a number; got None.").wait_for()


def test_both_themes_are_drawn_and_nothing_complained(lesson, trained):
    _, student = lesson
    light, dark, again = in_both_themes(student, trained, ".mmcviz-canvas")
    assert all_differ(light, dark) and again == light
    assert student.errors == []
