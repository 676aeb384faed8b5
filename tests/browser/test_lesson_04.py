"""The lesson on training in real JupyterLab: start, pause, rewind, and look back."""

import json
import re

import pytest
import torch

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
    box = student.page.locator(".mmcviz-prediction").first
    box.locator('input[type="radio"]').first.check()
    for field in box.locator('input[type="number"]').all():
        field.fill("20")
    box.locator('input[type="number"]').last.press("Enter")
    box.get_by_text("your guess").first.wait_for()
    root = student.page.locator(".mmcviz-trainer").nth(1)
    root.scroll_into_view_if_needed()
    until(student, root, frames="31", ready="true")
    return root


def pictures(root):
    return root.evaluate(
        "(root) => [...root.querySelectorAll('.mmcviz-canvas')].map((c) => c.toDataURL())"
    )


def said(root):
    return root.locator(".mmcviz-say").inner_text()


def until(student, root, **wanted):
    """Wait until the state attributes of a widget are these."""
    student.page.wait_for_function(
        "([root, wanted]) => Object.entries(wanted).every(([k, v]) => root.dataset[k] === v)",
        arg=[root.element_handle(), wanted],
    )


def settle(student, root):
    """Wait until nothing runs and nothing moves."""
    until(student, root, busy="false")
    student.page.wait_for_timeout(600)


def ask(lab, expression):
    return json.loads(lab.ask(f"import json; print(json.dumps({expression}))"))


def test_run_all_leaves_no_error_and_the_first_picture_comes_early(lesson):
    _, student = lesson
    assert student.page.locator('[data-mime-type="application/vnd.jupyter.error"]').count() == 0
    assert "Error displaying widget" not in student.page.locator(".jp-Notebook").inner_text()
    assert student.errors == []
    place = student.page.evaluate(
        """() => [...document.querySelectorAll('.jp-CodeCell')]
              .findIndex((cell) => cell.querySelector('.mmcviz-trainer'))"""
    )
    assert place <= 2
    first = student.page.locator(".mmcviz-trainer").first
    assert first.get_attribute("data-ready") == "true"
    assert not first.locator(".mmcviz-buttons").is_visible()  # nothing to press before the guess


def test_what_is_asked_for_stays_in_the_kernel_until_the_guess(lesson):
    lab, student = lesson
    assert student.page.locator('.mmcviz-trainer[data-locked="true"]').count() == 2
    for name in ("trainer", "slow"):
        assert ask(lab, f"[{name}.numbers, len({name}.maps)]") == [[], 0]


def test_looking_back_moves_pictures_and_says_the_duels_numbers(lesson, trained):
    lab, student = lesson
    slider = trained.locator(".mmcviz-slider")
    history = ask(
        lab, "[[(s.accuracy, s.loss) for s in moment.sides] for moment in trainer.duel.history]"
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
        assert len(before) == 6 and all(a != b for a, b in zip(before, after, strict=True))
    student.page.wait_for_timeout(400)
    assert ask(lab, "[trainer.epoch, trainer.sentence]") == [4, said(trained)]
    slider.press("End")
    student.page.wait_for_timeout(400)
    assert ask(lab, "[trainer.epoch, trainer.sentence]") == [-1, said(trained)]


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
    seen = ask(lab, f"(lambda k: [int(trainer.labels[k]), *{sides}])({number})")
    assert seen == [int(truth), int(sce), int(mmc)]


def test_the_tint_is_the_class_that_the_head_lets_win(lesson, trained):
    """The browser decides this by itself, from four numbers a class."""
    lab, student = lesson
    points = (20 * torch.randn(100, 2, generator=torch.Generator().manual_seed(0))).tolist()
    source = (JS / "training_maps.js").read_text()
    source = re.sub(r"^import .*\n", "", re.sub(r"^export ", "", source, flags=re.M), flags=re.M)
    for side in (0, 1):
        regions = ask(lab, f"trainer.duel.history[-1].sides[{side}].regions.flatten().tolist()")
        found = student.page.evaluate(
            """([source, regions, points]) => {
              const winnerAt = new Function(`${source}; return winnerAt;`)();
              return points.map(([x, y]) => winnerAt(regions, x, y));
            }""",
            [source, regions, points],
        )
        code = (
            "import torch, json; "
            f"h = trainer.duel.models()[{side}].head.logits(torch.tensor({points})); "
            "print(json.dumps(h.argmax(dim=1).tolist()))"
        )
        wanted = json.loads(lab.ask(code))
        assert len(set(wanted)) > 5
        assert sum(a != b for a, b in zip(found, wanted, strict=True)) <= 1  # one on a border


def test_rewind_step_start_and_pause(lesson, trained):
    lab, student = lesson
    page = student.page
    first = page.locator(".mmcviz-trainer").first.get_attribute("data-stamp")
    trained.get_by_role("button", name="Rewind").click()
    until(student, trained, taken="0", frames="1")
    settle(student, trained)
    assert trained.get_attribute("data-stamp") == first
    assert said(trained).startswith("Epoch 0 of 30: ")

    trained.get_by_role("button", name="One batch").click()
    until(student, trained, taken="1")
    assert said(trained).startswith("Epoch 0 + 1/12 of 30: ")
    trained.get_by_role("button", name="One epoch").click()
    until(student, trained, taken="12", busy="false")
    stamp = ask(lab, "trainer.stamp")

    trained.get_by_role("button", name="Start").click()
    until(student, trained, busy="true")
    page.wait_for_function(
        "(root) => Number(root.dataset.taken) > 14", arg=trained.element_handle()
    )
    trained.get_by_role("button", name="Pause").click()
    settle(student, trained)
    names = "[t.name for t in __import__('threading').enumerate()]"
    assert "live-trainer-work" not in ask(lab, names)
    assert 14 < ask(lab, "trainer.taken") < 360
    assert ask(lab, "trainer.sentence") == said(trained)

    # Back and up to the same batch: the same weights.
    lab.ask("trainer.rewind(); trainer.train(epochs=1)")
    until(student, trained, taken="12", stamp=stamp)


def test_the_code_below_the_figure_is_the_kernels(lesson, trained):
    lab, student = lesson
    settle(student, trained)
    trained.locator(".mmcviz-code summary").click()
    assert trained.locator(".mmcviz-code input").first.input_value() == ask(lab, "trainer.code")
    code = ask(lab, "trainer.code").replace("taken=12", "taken=3").split("&stamp")[0]
    trained.locator(".mmcviz-code input").last.fill(code)
    trained.get_by_role("button", name="Restore").click()
    until(student, trained, taken="3")


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
    settings = ask(lab, "vars(trainer.settings)")
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
    light = pictures(trained)
    student.use_theme(dark=True)
    until(student, trained, theme="dark")
    student.page.wait_for_timeout(500)
    assert pictures(trained) != light
    student.use_theme(dark=False)
    student.page.wait_for_timeout(500)
    assert pictures(trained) == light
    assert student.errors == []
