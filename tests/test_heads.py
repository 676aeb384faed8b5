import pytest
import torch
from torch.nn import functional

from mmc_viz.centers import max_mahalanobis_centers
from mmc_viz.heads import HEADS, make_head


@pytest.fixture
def features():
    return torch.randn(7, 12, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.fixture
def labels():
    return torch.tensor([0, 1, 2, 3, 4, 0, 1])


@pytest.mark.parametrize("name", sorted(HEADS))
def test_loss_has_a_correct_gradient(name, features, labels):
    head = make_head(name, 12, 5).double()
    torch.autograd.gradcheck(lambda z: head(z, labels), features.requires_grad_())
    torch.autograd.gradcheck(head.logits, features)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_head_gives_one_logit_a_class_and_one_loss_a_sample(name, features, labels):
    head = make_head(name, 12, 5).double()
    assert head.name == name
    assert head.logits(features).shape == (7, 5)
    assert head(features, labels).shape == (7,)


def test_mmc_logits_are_minus_squared_distances_and_the_loss_is_half_of_one(features, labels):
    head = make_head("mmc", 12, 5, radius=4.0).double()
    centers = max_mahalanobis_centers(5, 12, radius=4.0).double()
    squared = torch.cdist(features, centers).square()
    torch.testing.assert_close(head.logits(features), -squared)
    expected = squared[torch.arange(7), labels] / 2
    torch.testing.assert_close(head(features, labels), expected)


def test_mmc_centers_are_saved_and_never_trained():
    head = make_head("mmc", 12, 5)
    assert "centers" in head.state_dict()
    assert not list(head.parameters())


def test_mmc_in_the_plane_uses_the_regular_polygon():
    centers = make_head("mmc", 2, 10, radius=10.0).centers
    assert torch.pdist(centers).min() == pytest.approx(20 * torch.tensor(torch.pi / 10).sin())


def test_softmax_of_mmc_is_blind_at_a_center_in_float32():
    head = make_head("mmc", 64, 10, radius=10.0)
    features = head.centers.clone().requires_grad_()
    labels = torch.arange(10)
    loss = functional.cross_entropy(head.logits(features), labels, reduction="sum")
    assert torch.equal(torch.autograd.grad(loss, features)[0], torch.zeros(10, 64))


def test_sce_is_cross_entropy_of_an_affine_map(features, labels):
    head = make_head("sce", 12, 5).double()
    logits = features @ head.linear.weight.T + head.linear.bias
    expected = logits.logsumexp(dim=1) - logits[torch.arange(7), labels]
    torch.testing.assert_close(head(features, labels), expected)


def test_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first = make_head("sce", 8, 3, generator=torch.Generator().manual_seed(5))
    second = make_head("sce", 8, 3, generator=torch.Generator().manual_seed(5))
    other = make_head("sce", 8, 3, generator=torch.Generator().manual_seed(6))
    assert torch.equal(first.linear.weight, second.linear.weight)
    assert not torch.equal(first.linear.weight, other.linear.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unknown_head_is_named_beside_the_known_ones():
    with pytest.raises(ValueError, match="`head` must be one of .*mmc.*sce.*; got 'mcc'"):
        make_head("mcc", 8, 3)
