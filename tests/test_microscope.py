import json
import zlib
from itertools import pairwise

import pytest
import torch

from mmc_viz.attacks import frozen, mim, pgd
from mmc_viz.attacks.ascent import Constant
from mmc_viz.attacks.balls import BALLS
from mmc_viz.attacks.budget import Part
from mmc_viz.attacks.goals import make_goal
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.microscope import climbs, pack_slides, read_header, slides
from mmc_viz.microscope.packing import FORMAT
from mmc_viz.microscope.stepping import one_step
from mmc_viz.objectives import resolve


@pytest.fixture(scope="module")
def pair():
    return {name: load_model(name) for name in ("digits-sce", "digits-mmc")}


@pytest.fixture(scope="module")
def digit():
    data = load_dataset("digits", limit=1)
    return data.inputs()[0], int(data.labels[0])


def traced(attack, model, image, label, **settings):
    """Run an attack with a trace; its iterates in order, and what it gave back."""
    points = []
    found = attack(
        model,
        image[None],
        torch.tensor([label]),
        trace=lambda step, images, logits, loss: points.append(images[0].clone()),
        **settings,
    )
    return torch.stack(points), found[0]


# ---- steps ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["cross_entropy", "margin", "distance"])
@pytest.mark.parametrize("name", ["digits-sce", "digits-mmc"])
def test_n_single_steps_are_one_call_of_n_steps_bit_for_bit(pair, digit, name, objective):
    settings = {"eps": 0.02, "steps": 7, "objective": objective}  # too little to fool anyone
    points, found = traced(pgd, pair[name], *digit, **settings)
    (climb,) = climbs(pair[name], *digit, **settings)
    assert climb.first_fooled is None
    assert torch.equal(climb.points, points)
    assert torch.equal(climb.points[-1], found)


def test_one_step_after_the_other_gives_the_same_points(pair, digit):
    """Each step begins from the bare iterate: nothing is carried along between steps."""
    image, label = digit
    labels, budget = torch.tensor([label]), torch.tensor([0.05])
    (climb,) = climbs(pair["digits-mmc"], image, label, eps=0.05, steps=5)
    with frozen(pair["digits-mmc"], image[None]) as view:
        for before, after in pairwise(climb.points):
            part = Part(image[None], budget, make_goal("margin", labels, None), torch.tensor([0]))
            rule = Constant(part, BALLS["linf"], 2.5 * budget / 5)
            moved = one_step(view, part, rule, 0, before[None])[-1]
            assert torch.equal(moved[0], after)


def test_with_momentum_the_steps_are_those_of_mim(pair, digit):
    settings = {"eps": 0.02, "steps": 7, "objective": "margin"}
    points, _ = traced(mim, pair["digits-mmc"], *digit, **settings)
    (climb,) = climbs(pair["digits-mmc"], *digit, momentum=True, restarts=4, **settings)
    assert torch.equal(climb.points, points)
    assert torch.equal(climb.points[0], digit[0])


def test_each_restart_begins_where_pgd_s_does(pair, digit):
    settings = {"eps": 0.02, "steps": 4, "restarts": 3}
    points, _ = traced(
        pgd, pair["digits-mmc"], *digit, generator=torch.Generator().manual_seed(5), **settings
    )
    found = climbs(pair["digits-mmc"], *digit, seed=5, **settings)
    assert torch.equal(torch.cat([climb.points for climb in found]), points)


def test_up_to_the_first_error_it_is_pgd_and_then_it_goes_on(pair, digit):
    settings = {"eps": 0.1, "steps": 12}
    _, found = traced(pgd, pair["digits-sce"], *digit, **settings)
    (climb,) = climbs(pair["digits-sce"], *digit, **settings)
    first = climb.first_fooled
    assert 0 < first < 12
    assert torch.equal(climb.points[first], found)
    assert not torch.equal(climb.points[first], climb.points[-1])
    assert climb.margin[-1] > climb.margin[first]


@pytest.mark.parametrize("step_size", [None, 0.001, 0.7])
@pytest.mark.parametrize("momentum", [False, True])
def test_every_iterate_keeps_to_budget_and_box(pair, digit, step_size, momentum):
    for climb in climbs(
        pair["digits-mmc"], *digit, eps=0.2, steps=6, step_size=step_size, momentum=momentum
    ):
        assert climb.points.min() >= 0 and climb.points.max() <= 1
        assert climb.changes.abs().max() <= 0.2 + 1e-7
        assert ((climb.cut >= 0) & (climb.cut <= 1)).all()


def test_the_parts_of_the_formula_fit_together(pair, digit):
    image, label = digit
    (climb,) = climbs(pair["digits-sce"], image, label, eps=0.1, steps=6, objective="distance")
    assert torch.equal(climb.directions, climb.gradients.sign())
    ahead = climb.points[:-1] + climb.step_size * climb.directions[:-1]
    projected = ahead.clamp((image - 0.1).clamp_min(0), (image + 0.1).clamp_max(1))
    assert torch.allclose(projected, climb.points[1:], atol=1e-7)
    moved_back = (ahead - projected).abs() > 1e-6
    assert torch.allclose(climb.cut[:-1], moved_back.flatten(1).double().mean(1), atol=0.05)
    labels = torch.full((7,), label)
    assert torch.allclose(climb.objective, resolve("distance")(climb.logits, labels).double())
    # A gradient is what autograd of anyone's says.
    point = climb.points[3:4].clone().requires_grad_()
    value = resolve("distance")(pair["digits-sce"](point), labels[:1]).sum()
    (slope,) = torch.autograd.grad(value, point)
    assert torch.allclose(climb.gradients[3], slope[0], atol=1e-4 * float(slope.abs().max()))


def test_a_climb_on_a_saturated_objective_stands_still():
    data = load_dataset("fashion_mnist", limit=4)
    (climb,) = climbs(
        load_model("fashion-mmc"),
        data.inputs()[3],
        int(data.labels[3]),
        eps=0.06,
        steps=3,
        objective="cross_entropy",
    )
    assert not climb.moves
    assert not climb.gradients.any() and not climb.cut.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "`steps`"),
        ({"restarts": 0}, "`restarts`"),
        ({"eps": -1}, "`eps`"),
        ({"step_size": -1}, "`step_size`"),
        ({"objective": "prayer"}, "`objective`"),
    ],
)
def test_what_cannot_be_climbed_is_refused(pair, digit, settings, message):
    with pytest.raises(ValueError, match=message):
        climbs(pair["digits-sce"], *digit, **{"eps": 0.1, "steps": 2, **settings})


def test_watching_can_stop_the_work(pair, digit):
    def watch(restart, step):
        if step == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        climbs(pair["digits-sce"], *digit, eps=0.1, watch=watch)


# ---- slides --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(pair, digit):
    return {
        name: slides(
            model,
            *digit,
            eps=0.2,
            objectives=("cross_entropy", "margin"),
            resolution=7,
            steps=5,
            restarts=2,
        )
        for name, model in pair.items()
    }


def test_start_and_end_lie_in_the_picture_and_places_are_feet(found):
    for one in found["digits-sce"]["margin"]:
        axes = torch.stack([one.surface.direction.flatten(), one.surface.other.flatten()]).double()
        changes = one.climb.changes.double().flatten(1)
        assert one.heights[[0, -1]].max() < 1e-5
        rest = changes - one.places @ axes
        assert (rest @ axes.T).abs().max() < 1e-5  # what is left out is orthogonal
        assert torch.allclose(rest.norm(dim=1), one.heights, atol=1e-9)


def test_the_outline_is_where_the_budget_ends(found):
    for one in found["digits-sce"]["margin"]:
        axes = torch.stack([one.surface.direction.flatten(), one.surface.other.flatten()]).double()
        largest = (one.outline @ axes).abs().amax(dim=1)
        assert torch.allclose(largest, torch.full_like(largest, 0.2), atol=1e-6)


def test_the_surface_holds_the_model_s_own_values(found, pair, digit):
    one = found["digits-mmc"]["margin"][0]
    with torch.no_grad():
        middle = pair["digits-mmc"](digit[0][None])
    wanted = float(resolve("margin")(middle, torch.tensor([digit[1]])))
    assert one.surface.margin[3, 3] == pytest.approx(wanted, rel=1e-4)


def test_what_stands_still_is_shown_the_way_it_does_not_see():
    data = load_dataset("fashion_mnist", limit=4)
    found = slides(
        load_model("fashion-mmc"),
        data.inputs()[3],
        int(data.labels[3]),
        eps=0.06,
        objectives=("cross_entropy", "margin"),
        resolution=5,
        steps=4,
    )
    still, climb = found["cross_entropy"][0], found["margin"][0]
    assert not still.climb.moves and still.towards[0] == "where the margin leads"
    assert climb.climb.moves and climb.towards == ("the end", "the start")
    assert torch.equal(still.surface.direction, climb.surface.direction)
    assert still.surface.flat.any()


# ---- bytes ---------------------------------------------------------------------------------------


def unpacked(data):
    """Undo the packing by the words of the module: header, and payload from a multiple of 4 on."""
    block = zlib.decompress(data)
    length = int.from_bytes(block[:4], "little")
    return json.loads(block[4 : 4 + length]), block[4 + -(-length // 4) * 4 :]


def taken(payload, offset, shape, dtype):
    count = torch.Size(shape).numel()
    return torch.frombuffer(bytearray(payload), dtype=dtype, count=count, offset=offset).reshape(
        shape
    )


def test_the_block_holds_every_climb(found):
    data = pack_slides(found)
    header, payload = unpacked(data)
    assert header == read_header(data)
    assert header["format"] == FORMAT and len(header["slides"]) == 8
    for entry in header["slides"]:
        one = found[entry["model"]][entry["objective"]][entry["restart"]]
        assert entry["margins"] == pytest.approx(one.climb.margin.tolist(), rel=1e-5)
        assert entry["reached"] == pytest.approx(one.climb.objective.tolist(), rel=1e-5)
        assert entry["predicted"] == one.climb.predicted.tolist()
        grid = taken(payload, entry["values"], (7, 7), torch.float32)
        assert torch.equal(grid, one.surface.values[entry["objective"]].float())
        change = taken(payload, entry["change"], one.climb.points.shape, torch.int8)
        assert torch.allclose(change / 127 * 0.2, one.climb.changes, atol=0.2 / 254 + 1e-6)
        sign = taken(payload, entry["direction"], one.climb.points.shape, torch.int8)
        assert torch.equal(sign.float(), one.climb.directions)
        gradient = taken(payload, entry["gradient"], one.climb.points.shape, torch.int8)
        largest = one.climb.gradients.abs().flatten(1).amax(1)
        assert entry["slopes"] == pytest.approx(largest.tolist(), rel=1e-5)
        scaled = gradient / 127 * largest[:, None, None, None]
        assert (scaled - one.climb.gradients).abs().max() <= largest.max() / 254 + 1e-6


def test_nothing_to_pack_is_refused():
    with pytest.raises(ValueError, match="at least one slide"):
        pack_slides({})


@pytest.mark.parametrize("data", [b"", b"no block", zlib.compress(b"\x04\0\0\0null")])
def test_bytes_that_are_no_block_are_refused(data):
    with pytest.raises(ValueError, match="slides"):
        read_header(data)
