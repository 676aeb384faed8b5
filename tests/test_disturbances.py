import json
import zlib

import pytest
import torch

from mmc_viz.attacks import gaussian_noise
from mmc_viz.attacks.transforms import rotated, unit_noise
from mmc_viz.checkpoints import load_model
from mmc_viz.datasets import load_dataset
from mmc_viz.disturbances import disturb, noisy, pack_disturbances

SIGMAS, DEGREES = [0, 0.1, 0.25], [-30, 0, 30]


@pytest.fixture(scope="module")
def data():
    return load_dataset("digits", limit=12)


@pytest.fixture(scope="module")
def found(data):
    return disturb(
        {"SCE": load_model("digits-sce"), "MMC": load_model("digits-mmc")},
        data.images,
        data.labels,
        sigmas=SIGMAS,
        degrees=DEGREES,
        class_names=data.class_names,
    )


def test_predictions_are_those_of_the_images_as_drawn(found):
    for title, name in (("SCE", "digits-sce"), ("MMC", "digits-mmc")):
        model = load_model(name)
        for s in range(3):
            for d in range(3):
                logits = model(found.images(s, d).float() / 255)
                assert torch.equal(logits.argmax(dim=1), found.predictions[title][s, d])


def test_without_noise_and_rotation_nothing_changes(found, data):
    assert torch.equal(found.images(0, 1), data.images)
    assert found.change[0, 1] == 0
    right = load_model("digits-mmc")(data.inputs()).argmax(dim=1) == data.labels
    assert found.right("MMC")[0, 1] == right.sum()


def test_whole_numbers_come_within_a_level_of_the_real_thing(found, data):
    """Turned, then sigma times the noise of `gaussian_noise`: rounding aside, the same image."""
    clean = data.inputs()
    noise = unit_noise(clean, generator=torch.Generator().manual_seed(0))
    still = torch.zeros(len(clean))
    for s, sigma in enumerate(SIGMAS):
        for d, degrees in enumerate(DEGREES):
            turned = rotated(clean, still + degrees, still, still)
            exact = (turned + sigma * noise).clamp(0, 1) * 255
            assert (found.images(s, d).float() - exact).abs().max() < 1.2


def test_unit_noise_is_what_gaussian_noise_adds(data):
    class Right(torch.nn.Module):
        def forward(self, images):
            return torch.nn.functional.one_hot(data.labels, 10) * 20.0 + 0 * images.sum()

    clean = data.inputs()
    got = gaussian_noise(Right(), clean, data.labels, sigma=0.2, samples=3)
    wanted = (clean + 0.2 * unit_noise(clean, sample=2)).clamp(0, 1)
    assert torch.equal(got, wanted)


def test_noise_is_standard_normal_and_depends_on_the_seed(data):
    images = torch.zeros(20, 1, 40, 40)
    noise = unit_noise(images)
    assert abs(float(noise.mean())) < 0.02 and abs(float(noise.std()) - 1) < 0.02
    assert not torch.equal(noise, unit_noise(images, generator=torch.Generator().manual_seed(1)))


def test_the_grain_stays_as_the_noise_grows():
    turned = torch.full((1, 1, 1, 3), 100, dtype=torch.uint8)
    noise = torch.tensor([256, -256, 0], dtype=torch.int16).reshape(1, 1, 1, 3)
    for sigma in (0.1, 0.2, 0.3):
        drawn = noisy(turned, noise, sigma).long().flatten() - 100
        assert drawn.tolist() == pytest.approx([255 * sigma, -255 * sigma, 0], abs=0.51)


def test_the_block_holds_all_of_it(found):
    block = zlib.decompress(pack_disturbances(found))
    length = int.from_bytes(block[:4], "little")
    header = json.loads(block[4 : 4 + length])
    begin = 4 + -(-length // 4) * 4
    assert (header["sigmas"], header["degrees"]) == (SIGMAS, DEGREES)
    for one in header["models"]:
        assert one["predictions"] == found.predictions[one["title"]].tolist()
        assert one["right"] == found.right(one["title"]).tolist()
    count = found.turned.numel()
    turned = torch.frombuffer(bytearray(block), dtype=torch.uint8, count=count, offset=begin)
    assert torch.equal(turned, found.turned.flatten())
    noise = torch.frombuffer(
        bytearray(block),
        dtype=torch.int16,
        count=found.noise.numel(),
        offset=begin + -(-count // 4) * 4,
    )
    assert torch.equal(noise, found.noise.flatten())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sigmas": [0.2, 0.1]}, "`sigmas` must rise"),
        ({"sigmas": [-0.1, 0.1]}, "`sigmas` must rise within 0"),
        ({"degrees": [0, 200]}, "`degrees` must rise within -180 .. 180"),
        ({"degrees": []}, "`degrees`"),
        ({"class_names": ["a"]}, "`labels`"),
    ],
)
def test_impossible_settings_are_refused(data, settings, message):
    asked = {"sigmas": SIGMAS, "degrees": DEGREES, "class_names": data.class_names, **settings}
    with pytest.raises(ValueError, match=message):
        disturb({"SCE": load_model("digits-sce")}, data.images, data.labels, **asked)


def test_a_name_too_few_is_told_apart_from_a_wrong_label(data):
    few = data.labels < 9
    with pytest.raises(ValueError, match="`class_names` must be 10; got 9"):
        disturb(
            {"SCE": load_model("digits-sce")},
            data.images[few],
            data.labels[few],
            sigmas=[0],
            degrees=[0],
            class_names=data.class_names[:9],
        )
