"""An interrupt at the worst moment: while torch imports half of itself for its first optimizer."""

import subprocess
import sys

import pytest

CHILD = """
import os, signal, sys, threading, time
from mmc_viz.datasets import load_dataset
from mmc_viz.training import TrainConfig, train

sets = [load_dataset("digits", split, limit=32) for split in ("train", "test")]

def state():
    module = sys.modules.get("torch._dynamo")
    return "none" if module is None else "whole" if hasattr(module, "disable") else "half"

def interrupt():
    while "torch._dynamo" not in sys.modules:
        time.sleep(0.001)
    time.sleep(float(sys.argv[1]))
    print(state(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
assert "torch._dynamo" not in sys.modules
threading.Thread(target=interrupt, daemon=True).start()
for _ in range(2):
    try:
        print(len(train(TrainConfig(epochs=1), *sets, progress=False).history))
    except KeyboardInterrupt:
        print("interrupted", state())
"""


# Not every interrupted import spoils the next one, so the import itself has to have ended.
@pytest.mark.parametrize("seconds", [0.05, 0.3])
def test_interrupted_while_torch_makes_its_first_optimizer_training_can_begin_again(seconds):
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(seconds)], capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.split() == ["half", "interrupted", "whole", "1"], ran.stderr
