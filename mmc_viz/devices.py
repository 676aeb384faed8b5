"""Where to compute."""

import torch

KINDS = ("cpu", "cuda", "mps")


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """Turn the name of a device into the device; `auto` picks CUDA, then MPS, then CPU.

    Raises
    ------
    ValueError
        If the device is none of these, or absent from this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    reason = "no such device"
    # torch knows a dozen more names: some crash it here, and `meta` computes nothing, in silence.
    if str(name).partition(":")[0] in KINDS:
        try:
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:  # torch raises either, by backend
            reason = str(error).splitlines()[0]
    raise ValueError(
        f"`device` must be auto, cpu, cuda or mps, and present; got {str(name)!r} ({reason})."
    )
