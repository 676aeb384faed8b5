import json
import math
import zlib

import pytest
import torch

from mmc_viz.checkpoints import load_model
from mmc_viz.density.flat import flat_shells
from mmc_viz.heads import make_head
from mmc_viz.networks import outputs
from mmc_viz.widgets import DensityShells, replay
from mmc_viz.widgets.density_shells import write_short
from mmc_viz.widgets.subjects import find_images


@pytest.fixture(scope="module")
def shared():
    return DensityShells.of(count=200)


# ---- counts and room -----------------------------------------------------------------------------


def test_features_are_counted_in_the_shell_of_their_loss():
    head = make_head("mmc", 2, 3)
    center = head.centers[1].detach()
    # Half the squared distances are 0, 0.125, 0.5, 2 and 50: below all, 2^-3, 2^-1, 2^1, above all.
    steps = torch.tensor([0.0, 0.5, 1, 2, 10])
    features = center + torch.stack([steps, torch.zeros(5)], dim=1)
    found = flat_shells(features, torch.ones(5, dtype=torch.int64), head)
    assert found.totals.tolist() == [0, 5, 0]
    assert found.below.tolist() == [0, 1, 0]
    held = {2.0**e: 0 for e in range(-12, 5)} | {0.125: 1, 0.5: 1, 2.0: 1}
    assert dict(zip(found.edges[:-1].tolist(), found.counts[1].tolist(), strict=True)) == held


def test_counts_are_those_of_the_heads_own_loss(shared):
    data = find_images("fashion_mnist", range(200))
    for name, title in (("fashion-sce-2d", "SCE-2D"), ("fashion-mmc-2d", "MMC-2D")):
        model, found = load_model(name), shared.found[title]
        losses = model.head(outputs(model, data.inputs())[1], data.labels).detach()
        own = losses[data.labels == 3]
        for i, low in enumerate(found.edges[:-1].tolist()):
            inside = int(((own >= low) & (own < 2 * low)).sum())
            assert found.counts[3, i] == inside, (name, low)


def test_the_room_of_a_ring_is_exact_and_that_of_a_strip_grows_with_the_frame(shared):
    ring, strip = shared.found["MMC-2D"], shared.found["SCE-2D"]
    assert ring.bounded and not strip.bounded
    for i, low in enumerate(ring.edges[:-1].tolist()):
        assert float(ring.room[0, 0, i]) == pytest.approx(2 * math.pi * low)
    assert torch.equal(ring.room[0], ring.room[2])
    growth = strip.room[2] / strip.room[1]
    there = strip.room[1] > 100  # where a grid of 400 x 400 sees enough of a strip
    assert bool(there.any()) and float((growth[there] - 2).abs().max()) < 0.5


def test_the_room_of_a_strip_between_two_planes_is_its_width_times_its_length():
    head = make_head("sce", 2, 2)
    with torch.no_grad():  # logits x and -x: the loss of class 0 is log(1 + exp(-2x))
        head.linear.weight.copy_(torch.tensor([[1.0, 0], [-1, 0]]))
        head.linear.bias.zero_()
    features, labels = torch.tensor([[9.0, 0], [0, 9]]), torch.tensor([0, 0])
    found = flat_shells(features, labels, head)
    place = found.edges.tolist().index(0.25)
    left, right = (-math.log(math.exp(c) - 1) / 2 for c in (0.5, 0.25))
    wanted = (right - left) * 2 * found.half
    assert float(found.room[0, 0, place]) == pytest.approx(wanted, rel=0.15)
    assert float(found.room[1, 0, place]) == pytest.approx(2 * wanted, rel=0.3)


def test_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="must have 2 dimensions; got 3 and 3"):
        flat_shells(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64), make_head("mmc", 3, 4))


# ---- the widget ----------------------------------------------------------------------------------


def test_the_sentence_states_count_room_and_density(shared):
    shared.label, shared.shell, shared.frame = 4, 9, 1
    said = shared.sentence
    assert said.startswith("Coat, loss from 0.125 to 0.25. SCE-2D: ")
    for title, one in shared.found.items():
        count, room = int(one.counts[4, 9]), float(one.room[1, 4, 9])
        where = "in the ring" if title == "MMC-2D" else "in this frame"
        density = write_short(count / room)
        assert (
            f"{title}: {count} of 20 features, room {where} {write_short(room)}, density {density}."
        ) in said
    shared.label, shared.shell, shared.frame = 0, 10, 0


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (305.14, "305"), (12345, "12300"), (0.0000123, "0.0000123")]
)
def test_numbers_have_three_digits(value, text):
    assert write_short(value) == text


def test_what_is_out_of_range_is_clamped(shared):
    shared.label, shared.shell, shared.frame = 99, 99, 99
    assert (shared.label, shared.shell, shared.frame) == (9, 16, 2)
    shared.label, shared.shell, shared.frame = 0, 10, 0


def test_a_code_brings_back_the_view(shared):
    shared.label, shared.shell, shared.frame = 7, 5, 1
    again = replay(shared.code)
    assert (again.label, again.shell, again.frame) == (7, 5, 1)
    assert again.shells == shared.shells and again.sentence == shared.sentence
    shared.label, shared.shell, shared.frame = 0, 10, 0


def test_the_packed_heads_give_the_same_logits(shared):
    """The browser draws with weights and offsets; their logits differ by what all classes share."""
    block = zlib.decompress(shared.shells)
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    numbers = torch.frombuffer(bytearray(block[4 + -(-length // 4) * 4 :]), dtype=torch.float32)
    start = 0
    for one in header["models"]:
        sizes = (400, 20, 10)
        features, weights, offsets = numbers[start : start + sum(sizes)].split(sizes)
        start += sum(sizes)
        logits = features.view(-1, 2) @ weights.view(10, 2).T + offsets
        head = load_model(f"fashion-{one['title'].lower()}").head
        wanted = head.logits(features.view(-1, 2)).detach()
        difference = logits - wanted
        torch.testing.assert_close(
            difference, difference[:, :1].expand(-1, 10), atol=2e-3, rtol=1e-4
        )


def test_models_of_more_dimensions_are_refused():
    with pytest.raises(ValueError, match="must have 2 dimensions; got 64 and 64"):
        DensityShells.of(models=["fashion-mmc"], count=20)
