import pytest
import torch
from torch.nn import functional

from mmc_viz.heads import make_head
from mmc_viz.objectives import (
    OBJECTIVES,
    cross_entropy,
    cross_entropy_float64,
    distance,
    dlr,
    margin,
    resolve,
    targeted_margin,
)


@pytest.fixture
def logits():
    return 3 * torch.randn(20, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.arange(20) % 6


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_gradients_are_correct(name, logits, labels):
    objective = OBJECTIVES[name]
    assert torch.autograd.gradcheck(lambda h: objective(h, labels), logits.requires_grad_())


def test_cross_entropy_by_hand():
    value = cross_entropy(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 0]))
    torch.testing.assert_close(value, torch.tensor([2.0, 1 + torch.tensor(-2.0).exp()]).log())


def test_margin_is_positive_exactly_where_the_image_is_fooled(logits, labels):
    fooled = logits.argmax(dim=1) != labels
    assert fooled.any() and not fooled.all()
    assert torch.equal(margin(logits, labels) > 0, fooled)
    one = margin(torch.tensor([[5.0, 3.0, 1.0]]), torch.tensor([2]))
    assert one.item() == 4.0


def test_dlr_by_hand_and_its_sign_and_scale(logits, labels):
    # (largest wrong - true) / (first - third) = (3 - 5) / (5 - 1)
    assert dlr(torch.tensor([[5.0, 3.0, 1.0, 0.0]]), torch.tensor([0])).item() == -0.5
    torch.testing.assert_close(dlr(1000 * logits + 7, labels), dlr(logits, labels))
    assert torch.equal(dlr(logits, labels) > 0, margin(logits, labels) > 0)


def test_distance_is_the_squared_distance_to_the_mmc_center(labels):
    head = make_head("mmc", 8, 6, radius=3.0).double()
    features = torch.randn(20, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = (features - head.centers[labels]).square().sum(dim=1)
    torch.testing.assert_close(distance(head.logits(features), labels), expected)


def test_cross_entropy_goes_blind_where_the_margin_sees():
    logits = torch.tensor([[0.0, -222.0, -222.0]], requires_grad=True)
    labels = torch.tensor([0])
    blind = torch.autograd.grad(cross_entropy(logits, labels).sum(), logits)[0]
    sees = torch.autograd.grad(margin(logits, labels).sum(), logits)[0]
    assert torch.equal(blind, torch.zeros_like(blind))
    assert sees[0, 0] == -1


def test_callables_pass_and_unknown_names_are_named():
    assert resolve(functional.mse_loss) is functional.mse_loss
    with pytest.raises(
        ValueError, match="one of cross_entropy, .*, dlr, targeted_margin or a call"
    ):
        resolve("entropy")
    with pytest.raises(ValueError, match="`dlr` needs at least 3 classes; got 2"):
        dlr(torch.zeros(1, 2), torch.tensor([0]))


def test_float64_keeps_the_direction_that_float32_loses():
    logits = torch.tensor([[0.0, -222.0, -223.0], [1.0, 0.5, -300.0]])
    labels = torch.tensor([0, 0])
    wide = logits.double().requires_grad_()
    # The derivative by the closed form: softmax, less 1 at the label as minus the sum of the rest.
    share = wide.detach().softmax(dim=1)
    expected = share.scatter(1, labels[:, None], -share[:, 1:].sum(dim=1, keepdim=True))
    (found,) = torch.autograd.grad(cross_entropy_float64(wide, labels).sum(), wide)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)
    narrow = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(cross_entropy_float64(narrow, labels).sum(), narrow)
    scaled = expected / expected.abs().amax(dim=1, keepdim=True)
    torch.testing.assert_close(found, scaled.float())
    torch.testing.assert_close(
        cross_entropy_float64(logits, labels).float(), cross_entropy(logits, labels)
    )


def test_targeted_margin_by_hand_and_without_targets(logits, labels):
    one = torch.tensor([[5.0, 3.0, 1.0]])
    assert targeted_margin(one, torch.tensor([0]), torch.tensor([2])).item() == -4.0
    assert torch.equal(targeted_margin(logits, labels), margin(logits, labels))
    targets = (labels + 1) % 6
    assert torch.autograd.gradcheck(
        lambda h: targeted_margin(h, labels, targets), logits.requires_grad_()
    )
