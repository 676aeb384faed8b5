import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils import skip_init

from mmc_viz.unfilled import unfilled

CASES = [
    (nn.Linear, (3, 4), {}),
    (nn.Linear, (3, 4), {"bias": False}),
    (nn.Conv2d, (2, 5, 3), {"stride": 2, "padding": 1}),
    (nn.Conv2d, (2, 5, 1), {"bias": False, "dtype": torch.float64}),
]


@pytest.mark.parametrize(("layer", "sizes", "settings"), CASES)
def test_it_is_torch_s_layer_but_for_the_numbers(layer, sizes, settings):
    state = torch.get_rng_state()
    ours = unfilled(layer, *sizes, **settings)
    assert torch.equal(torch.get_rng_state(), state)
    theirs = skip_init(layer, *sizes, **settings)
    assert type(ours) is layer and str(ours) == str(theirs)
    for mine, other in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert mine[0] == other[0]
        for name in ("shape", "dtype", "device", "requires_grad", "is_leaf"):
            assert getattr(mine[1], name) == getattr(other[1], name)
    # It computes what a layer filled in the usual way does.
    usual = layer(*sizes, **settings)
    ours.load_state_dict(usual.state_dict())
    images = torch.rand(6, 2, 3, 3, dtype=settings.get("dtype"))
    assert torch.equal(ours(images), usual(images))


def test_a_model_is_loaded_without_sympy():
    code = (
        "import sys; from mmc_viz import load_model; load_model('digits-sce');"
        " sys.exit('sympy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
