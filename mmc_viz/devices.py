"""Where to compute."""

import torch


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Turn the name of a device into the device; `auto` picks CUDA, then MPS, then CPU.

    Raises
    ------
    ValueError
        If the device is unknown to torch or absent from this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch raises either, by backend
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"`device` must be auto, cpu, cuda or mps, and present; got {name!r} ({reason})."
        ) from None
