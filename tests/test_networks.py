import pytest
import torch
from torch import nn

from mmc_viz.networks import eval_mode, make_classifier, outputs

SMALL = ["small_cnn", "resnet8", "resnet8v2", "resnet20"]


def layers(model: nn.Module) -> int:
    """Convolutions and linear layers on the longest path: shortcuts do not count."""
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear)
        for name, module in model.backbone.named_modules()
        if "shortcut" not in name
    )


@pytest.mark.parametrize(
    ("name", "depth"), [("resnet20", 20), ("resnet32", 32), ("resnet110", 110)]
)
def test_resnets_are_as_deep_as_their_name(name, depth):
    # The last linear layer stands in place of the classifier that the name counts.
    assert layers(make_classifier(name, "sce", in_channels=3, num_classes=10)) == depth


@pytest.mark.parametrize(("name", "blocks"), [("resnet20v2", 3), ("resnet32v2", 5)])
def test_preactivation_forms_have_nine_n_plus_two_layers(name, blocks):
    model = make_classifier(name, "sce", in_channels=3, num_classes=10)
    assert layers(model) == 9 * blocks + 2
    assert model.backbone.dim == 256


@pytest.mark.parametrize("size", [8, 28])
def test_small_cnn_is_small_and_takes_grey_images_of_both_sizes(size):
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10)
    assert sum(weight.numel() for weight in model.parameters()) <= 100_000
    assert model(torch.rand(3, 1, size, size)).shape == (3, 10)


@pytest.mark.parametrize("dim", [None, 2])
@pytest.mark.parametrize("name", SMALL)
def test_logits_are_those_of_the_features(name, dim):
    model = make_classifier(name, "mmc", in_channels=3, num_classes=10, dim=dim).eval()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = model.features(images)
    assert features.shape == (4, model.backbone.dim if dim is None else dim)
    torch.testing.assert_close(model(images), model.head.logits(features))


def test_features_may_be_negative():
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10).eval()
    assert model.features(torch.rand(64, 1, 28, 28)).min() < 0


def test_normalisation_lives_inside():
    model = make_classifier(
        "small_cnn",
        "sce",
        in_channels=1,
        num_classes=10,
        mean=torch.tensor([0.25]),
        std=torch.tensor([0.5]),
    ).eval()
    images = torch.rand(2, 1, 8, 8)
    inside = model.backbone((images - 0.25) / 0.5)
    torch.testing.assert_close(model.features(images), inside)


def test_the_seed_alone_decides_the_weights():
    state = torch.get_rng_state()
    models = [
        make_classifier("resnet8", "sce", in_channels=3, num_classes=10, seed=seed)
        for seed in (4, 4, 5)
    ]
    weights = [nn.utils.parameters_to_vector(model.parameters()) for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_eval_mode_puts_every_part_back():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3)).train()
    model[1].eval()
    with eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]


def test_outputs_do_not_depend_on_the_batch_size_and_leave_the_model_alone():
    model = make_classifier("small_cnn", "mmc", in_channels=1, num_classes=10).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole, parts = outputs(model, images), outputs(model, images, batch_size=3)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_any_module_has_logits_and_features_of_dimension_zero():
    logits, features = outputs(nn.Flatten(), torch.rand(5, 1, 2, 2))
    assert logits.shape == (5, 4)
    assert features.shape == (5, 0)


def test_features_of_a_foreign_model_are_taken_if_they_are_vectors():
    class Foreign(nn.Module):
        def features(self, x):
            return x.flatten(1)[:, :3]

        def forward(self, x):
            return x.flatten(1)

    images = torch.rand(5, 1, 2, 2)
    assert torch.equal(outputs(Foreign(), images)[1], images.flatten(1)[:, :3])


def test_mistakes_are_named():
    with pytest.raises(
        ValueError, match="`network` must be one of small_cnn, plain_cnn, .*got 'vgg'"
    ):
        make_classifier("vgg", "sce", in_channels=3, num_classes=10)
    with pytest.raises(ValueError, match="`dim` must be at least 1; got 0"):
        make_classifier("small_cnn", "sce", in_channels=1, num_classes=10, dim=0)
