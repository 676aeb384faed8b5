import copy
import math
from functools import partial

import pytest
import torch
from torch import nn

from mmc_viz.attacks import TRANSFORMS, gaussian_noise, rotation
from mmc_viz.attacks.transforms import TransformResult, noise_accuracy, rotated, rotation_accuracy
from mmc_viz.checkpoints import load_model

#: Each transform with few forms, and the function that gives its numbers.
NOISE = (partial(gaussian_noise, sigma=0.1), partial(noise_accuracy, sigma=0.1))
GRID = (
    partial(rotation, degrees=10, angles=5, translation=0.5, shifts=3),
    partial(rotation_accuracy, degrees=10, angles=5, translation=0.5, shifts=3),
)
DRAWN = (
    partial(rotation, degrees=30, translation=1, samples=6),
    partial(rotation_accuracy, degrees=30, translation=1, samples=6),
)
ALL = pytest.mark.parametrize("pair", [NOISE, GRID, DRAWN], ids=["noise", "grid", "drawn"])


@pytest.fixture
def pictures():
    return torch.rand(6, 2, 9, 9, generator=torch.Generator().manual_seed(0))


def turned(images, degrees=0.0, down=0.0, across=0.0, **settings):
    moves = torch.tensor([degrees, down, across]).float()[:, None].expand(3, len(images))
    return rotated(images, *moves, **settings)


def fooled(model, images, labels):
    with torch.no_grad():
        return model(images).argmax(dim=1) != labels


def steady(images):
    """A model that is always right, so that what comes back is the last draw."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(images[0].numel(), 2)).eval()
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.copy_(torch.tensor([3.0, 0.0]))
    return model, images, torch.zeros(len(images), dtype=torch.int64)


class Brightest(nn.Module):
    """Takes an image for the place of its brightest pixel: any change of place is an error."""

    def forward(self, x):
        return x.sum(dim=1).flatten(1)


# --- rotation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_no_rotation_is_the_identity_bit_for_bit(pictures, interpolation):
    assert torch.equal(turned(pictures, interpolation=interpolation), pictures)
    model = nn.Sequential(nn.Flatten(), nn.Linear(162, 3)).eval()
    labels = model(pictures).argmax(dim=1)
    for samples in (None, 3):
        settings = {"degrees": 0, "samples": samples, "interpolation": interpolation}
        assert torch.equal(rotation(model, pictures, labels, **settings), pictures)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("quarters", [1, 2, 3, -1, -2])
@pytest.mark.parametrize("size", [8, 9])
def test_quarter_turns_of_a_square_move_whole_pixels(size, quarters, interpolation):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = turned(images, 90 * quarters, interpolation=interpolation)
    torch.testing.assert_close(found, torch.rot90(images, quarters, dims=(2, 3)), rtol=0, atol=1e-5)


def test_half_a_turn_of_any_rectangle_moves_whole_pixels():
    images = torch.rand(2, 1, 5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(turned(images, 180), images.flip(2, 3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 2), (-3, 1), (2, -2)])
def test_shifts_by_whole_pixels_move_them_and_repeat_the_border(
    pictures, down, across, interpolation
):
    found = turned(pictures, 0, down, across, interpolation=interpolation)
    rows = (torch.arange(9) - down).clamp(0, 8)
    columns = (torch.arange(9) - across).clamp(0, 8)
    expected = pictures[:, :, rows][:, :, :, columns]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_a_rotation_keeps_the_shape_of_things_in_images_that_are_not_square():
    # A ramp is a linear function of the place, so bilinear values are exact: a rotated ramp is a
    # ramp along the rotated direction, in pixels, whatever height and width are.
    height, width = 12, 20
    y = torch.arange(height).double()[:, None] - (height - 1) / 2
    x = torch.arange(width).double()[None, :] - (width - 1) / 2
    for slope_x, slope_y in [(1.0, 0.0), (0.0, 1.0), (0.3, -0.7)]:
        ramp = (0.5 + 0.01 * (slope_x * x + slope_y * y))[None, None]
        for degrees, down, across in [(20.0, 0.0, 0.0), (-35.0, 0.5, -1.25)]:
            cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            # Counter-clockwise with rows that point down: where a pixel of the result comes from.
            from_x = cos * (x - across) - sin * (y - down)
            from_y = sin * (x - across) + cos * (y - down)
            expected = 0.5 + 0.01 * (slope_x * from_x + slope_y * from_y)
            inside = (from_x.abs() <= x.abs().max()) & (from_y.abs() <= y.abs().max())
            found = turned(ramp, degrees, down, across)[0, 0]
            assert inside.double().mean() > 0.5
            torch.testing.assert_close(found[inside], expected[inside], rtol=0, atol=1e-6)


def test_the_grid_is_searched_to_its_corners():
    # One bright pixel; the model errs if it arrives at one place, which one point of the grid
    # alone leads to.
    image = torch.zeros(1, 1, 7, 7)
    image[0, 0, 3, 3] = 1

    class Guard(nn.Module):
        def __init__(self, row, column):
            super().__init__()
            self.row, self.column = row, column

        def forward(self, x):
            there = x[:, 0, self.row, self.column]
            return torch.stack([0.9 - there, there - 0.9], dim=1)

    label = torch.zeros(1, dtype=torch.int64)
    settings = {"degrees": 0, "translation": 2, "shifts": 5}
    for row in range(7):
        for column in range(7):
            guard = Guard(row, column)
            reachable = 1 <= row <= 5 and 1 <= column <= 5
            found = rotation(guard, image, label, **settings)
            assert fooled(guard, found, label).item() == reachable
            result = rotation_accuracy(guard, image, label, **settings)
            assert result.correct.shape == (25, 1)
            assert (~result.correct).sum() == reachable


def test_angles_are_drawn_evenly_from_the_whole_range():
    # The angle is read off the images: a ramp along x rotated by a has the slope tan a.
    x = torch.linspace(0.3, 0.7, 21)
    images = x.expand(400, 1, 21, 21).clone()
    found = rotation(*steady(images), degrees=40, samples=1)
    across = found[:, 0, 10, 11] - found[:, 0, 10, 9]
    down = found[:, 0, 11, 10] - found[:, 0, 9, 10]
    angles = torch.atan2(-down, across).rad2deg()
    assert angles.abs().max() <= 40 + 1e-2
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert (angles < -40 + 80 * share).double().mean() == pytest.approx(share, abs=0.08)


# --- noise --------------------------------------------------------------------------------------


def test_noise_is_normal_with_the_sigma_asked_for():
    images = torch.full((50, 1, 40, 40), 0.5)
    for k in (1, 4):
        found = gaussian_noise(*steady(images), sigma=0.05, samples=k, clip=False)
        noise = ((found - images) / 0.05).flatten().double()
        # 80,000 numbers: the mean is off by 1 / sqrt(80,000) = 0.0035.
        assert noise.mean() == pytest.approx(0, abs=0.015)
        assert noise.std() == pytest.approx(1, abs=0.015)
        for point in (-2.0, -1.0, 0.5, 1.5, 3.0):
            expected = 0.5 * (1 + math.erf(point / math.sqrt(2)))
            assert (noise < point).double().mean() == pytest.approx(expected, abs=0.008)
        # No two images, and no two pixels beside each other, share their noise.
        table = noise.reshape(50, -1)
        assert torch.corrcoef(table).fill_diagonal_(0).abs().max() < 0.15
        assert abs((table[:, 1:] * table[:, :-1]).mean()) < 0.015


def test_clipping_is_a_choice(pictures):
    clipped = gaussian_noise(*steady(pictures), sigma=0.5, samples=1)
    free = gaussian_noise(*steady(pictures), sigma=0.5, samples=1, clip=False)
    assert free.min() < 0 and free.max() > 1
    assert torch.equal(clipped, free.clamp(0, 1))
    assert torch.equal(gaussian_noise(*steady(pictures), sigma=0), pictures)


# --- what all share -----------------------------------------------------------------------------


@ALL
def test_the_numbers_are_those_of_the_images(digits, pair):
    model, images, labels = load_model("digits-sce"), digits.inputs()[:40], digits.labels[:40]
    transform, measure = pair
    labels = labels.clone()
    labels[:5] = (model(images[:5]).argmax(dim=1) + 1) % 10  # clean errors
    found, result = transform(model, images, labels), measure(model, images, labels)
    assert torch.equal(found[:5], images[:5])
    assert torch.equal(result.clean, ~fooled(model, images, labels))
    # An image on which the model errs was met exactly where one of the forms is such an image.
    assert torch.equal(result.robust, ~fooled(model, found, labels))
    assert 0 < result.worst < result.mean < 1
    assert result.worst <= result.correct.double().mean(dim=1).min()
    assert result.rows() == [
        {
            "images": 40,
            "samples": len(result.correct),
            "clean": result.clean.sum().item() / 40,
            "mean": result.correct.double().mean().item(),
            "worst": result.robust.sum().item() / 40,
        }
    ]


def test_worst_and_mean_of_a_table_written_by_hand():
    clean = torch.tensor([True, True, False, True])
    correct = torch.tensor([[True, True, True, False], [True, False, True, False]])
    result = TransformResult(clean, correct)
    assert torch.equal(result.robust, torch.tensor([True, False, False, False]))
    assert (result.mean, result.worst) == (5 / 8, 1 / 4)


@pytest.mark.parametrize(
    "measure",
    [partial(noise_accuracy, sigma=0.1), partial(rotation_accuracy, degrees=45, translation=1)],
)
def test_the_first_draws_of_many_are_those_of_few(linear, measure):
    few, many = measure(*linear, samples=3), measure(*linear, samples=12)
    assert torch.equal(many.correct[:3], few.correct)
    assert (few.robust | ~many.robust).all()
    assert many.worst < few.worst


@ALL
def test_results_do_not_depend_on_the_batch_or_on_other_images(linear, pair):
    model, images, labels = linear
    transform, measure = pair
    whole = transform(model, images, labels)
    assert torch.equal(transform(model, images, labels, batch_size=7), whole)
    assert torch.equal(
        measure(model, images, labels, batch_size=7).correct, measure(model, images, labels).correct
    )
    wrong = torch.where(torch.arange(40) < 10, (labels + 1) % 5, labels)
    assert torch.equal(transform(model, images, wrong)[10:], whole[10:])


@ALL
def test_transforms_have_no_side_effects(linear, pair):
    model, images, labels = linear
    model = nn.Sequential(model, nn.BatchNorm1d(5)).train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    copies = images.clone(), labels.clone()
    transform, measure = pair
    found = transform(model, images.requires_grad_(), labels)
    measure(model, images, labels)
    assert not found.requires_grad and images.grad is None
    assert model.training and model[1].training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(images, copies[0]) and torch.equal(labels, copies[1])
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        assert torch.equal(transform(model, images.detach().clone(), labels), found)


@pytest.mark.parametrize("pair", [NOISE, DRAWN], ids=["noise", "drawn"])
def test_the_same_generator_gives_the_same_images_and_the_default_is_seed_zero(linear, pair):
    def run(seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return pair[0](*linear, generator=generator)

    assert torch.equal(run(7), run(7))
    assert torch.equal(run(None), run(0))
    assert not torch.equal(run(7), run(8))


@ALL
def test_a_double_precision_model_sees_double_precision(linear, pair):
    model, images, labels = linear
    assert pair[0](model.double(), images.double(), labels).dtype == torch.float64


@ALL
def test_no_empty_batch_reaches_the_model(linear, pair):
    model, images, labels = linear

    class Viewing(nn.Module):
        def forward(self, x):
            return model(x).view(x.shape[0], -1)

    wrong = (labels + 1) % 5
    assert torch.equal(pair[0](Viewing(), images, wrong), images)
    assert pair[1](Viewing(), images, wrong).worst == 0
    assert pair[0](Viewing(), images[:0], labels[:0]).shape == (0, 1, 6, 6)
    with pytest.raises(ValueError, match="`images` must hold at least one image"):
        pair[1](Viewing(), images[:0], labels[:0])


def test_any_rotation_moves_the_brightest_pixel_of_some_image(digits):
    images = digits.inputs()[:50]
    labels = Brightest()(images).argmax(dim=1)
    still = rotation_accuracy(Brightest(), images, labels, degrees=0)
    far = rotation_accuracy(Brightest(), images, labels, degrees=90)
    assert still.worst == still.mean == 1
    assert far.worst < far.mean < 1


@pytest.mark.parametrize(
    ("transform", "change", "words"),
    [
        ("gaussian_noise", {"sigma": -0.1}, "`sigma` must be finite and at least 0; got -0.1"),
        ("gaussian_noise", {"sigma": float("nan")}, "`sigma` must be finite and at least 0"),
        ("gaussian_noise", {"sigma": 0.1, "samples": 0}, "`samples` must be at least 1; got 0"),
        ("rotation", {"degrees": 200}, "`degrees` must be between 0 and 180; got 200"),
        ("rotation", {"degrees": -1}, "`degrees` must be between 0 and 180; got -1"),
        ("rotation", {"degrees": 9, "translation": -1}, "`translation` must be finite and at l"),
        ("rotation", {"degrees": 9, "angles": 1}, "`angles` must be at least 2; got 1"),
        ("rotation", {"degrees": 9, "translation": 1, "shifts": 1}, "`shifts` must be at least 2"),
        ("rotation", {"degrees": 9, "samples": 0}, "`samples` must be at least 1; got 0"),
        ("rotation", {"degrees": 9, "interpolation": "cubic"}, "one of bilinear, nearest; got"),
        ("rotation", {"degrees": 9, "batch_size": 0}, "`batch_size` must be at least 1; got 0"),
        ("rotation", {"degrees": 9, "labels": torch.full((40,), 7)}, r"`labels` must be in 0 \.\."),
        ("rotation", {"degrees": 9, "images": torch.full((40, 1, 6, 6), 2.0)}, r"lie in \[0, 1\]"),
    ],
)
def test_mistakes_are_named_in_one_line(linear, transform, change, words):
    model, images, labels = linear
    call = {"images": images, "labels": labels} | change
    with pytest.raises(ValueError, match=words) as raised:
        TRANSFORMS[transform](model, **call)
    assert "\n" not in str(raised.value)
