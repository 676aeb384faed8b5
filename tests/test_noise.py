import numpy as np
import pytest
import torch

from mmc_viz.noise import bits, places, uniform


def lowbias32(x):
    """The published finaliser, in the 32-bit arithmetic it was written for."""
    x = np.uint32(x)
    with np.errstate(over="ignore"):
        x ^= x >> np.uint32(16)
        x *= np.uint32(0x7FEB352D)
        x ^= x >> np.uint32(15)
        x *= np.uint32(0x846CA68B)
        x ^= x >> np.uint32(16)
    return int(x)


@pytest.mark.parametrize("keys", [(0, 0), (1, 2), (2**32 - 1, 12345), (7, -1)])
def test_keys_are_mixed_by_the_published_hash(keys):
    first, second = keys
    found = bits(first, torch.tensor([second]))
    assert found.item() == lowbias32((first ^ second) & 0xFFFFFFFF)


def test_a_number_depends_on_its_keys_and_on_nothing_else():
    indices = torch.arange(100)
    whole = uniform(3, 5, indices[:, None], torch.arange(20))
    assert torch.equal(uniform(3, 5, indices[40:50, None], torch.arange(20)), whole[40:50])
    assert torch.equal(uniform(3, 5, indices.flip(0)[:, None], torch.arange(20)), whole.flip(0))
    assert not torch.equal(uniform(3, 6, indices[:, None], torch.arange(20)), whole)


def test_numbers_are_uniform_and_uncorrelated():
    numbers = uniform(0, torch.arange(300)[:, None], torch.arange(300)).double()
    assert 0 <= numbers.min() and numbers.max() < 1
    count, _ = np.histogram(numbers.flatten(), bins=20, range=(0, 1))
    # Chi-squared with 19 degrees of freedom: above 44 once in a thousand.
    assert ((count - 4500) ** 2 / 4500).sum() < 44
    flat = numbers - 0.5
    for shifted in (flat.roll(1, 0), flat.roll(1, 1), flat.T):
        assert abs((flat * shifted).mean() * 12) < 0.015


def test_places_number_the_elements_of_one_image():
    assert torch.equal(places((1, 2, 3)), torch.arange(6).reshape(1, 1, 2, 3))
