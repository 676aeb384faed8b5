"""What several test modules need: a linear model with known answers, digits, the command line."""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import jaxtyping
import nbformat
import pytest
import torch
from filelock import FileLock
from torch import nn

from mmc_viz.__main__ import main
from mmc_viz.browser import find_chromium, jupyter_lab, visit
from mmc_viz.datasets import load_dataset

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "datasets"

# Threads that wait for each other on a busy machine cost many times what they save on tiny models.
# The variable is for the kernels and servers that the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)

# A first example imports and compiles, and a machine may be busy: no test is a stopwatch.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: Tests that fit with UMAP. Each process compiles it anew, which takes ten seconds.
COMPILE_UMAP = ("test_embeddings.py", "test_widgets_feature_view.py", "[map-umap]")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep together what shares something dear: the tests of a file, or those of a lesson's page.

    Marks of xdist's own (`xdist_group`) do nothing under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            page = re.search(r"\[(\w+\.ipynb)\]$", nodeid)
            if any(part in nodeid for part in COMPILE_UMAP):
                return "umap"
            return page[1] if page else nodeid.partition("::")[0]

    return Together(config, log)


def _unchecked():
    """Leave types and shapes unchecked: in an ensemble that takes as long as its attacks do.

    Whoever uses this calls nothing that other tests do not call with all checks.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


unchecked = pytest.fixture(_unchecked)
unchecked_module = pytest.fixture(_unchecked, scope="module")


class Linear(nn.Module):
    """Logits W x + b of flattened images: the nearest adversarial point is known in closed form."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)

    def forward(self, images):
        return images.flatten(1) @ self.weight.T + self.bias

    def distance(self, images, labels, norm):
        """Distance of each image to the nearest point with another label, the box set aside.

        For a linear model it is the least, over rivals j, of (h_y - h_j) / ||w_y - w_j||*, with the
        dual norm: l1 for linf, l2 for l2.
        """
        dual = {"linf": 1, "l2": 2}[norm]
        logits = self(images)
        gap = logits.gather(1, labels[:, None]) - logits
        length = (self.weight[labels][:, None] - self.weight[None]).norm(p=dual, dim=2)
        rival = torch.arange(len(self.weight)) != labels[:, None]
        return torch.where(rival, gap / length, torch.inf).amin(dim=1)


@pytest.fixture
def linear():
    """A linear model on 1x6x6 images, images amid the box, and their labels."""
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(5, 36, generator=generator)
    model = Linear(weight, torch.zeros(5))
    # Amid the box, so that the nearest adversarial point lies inside it too.
    images = 0.5 + 0.05 * torch.randn(40, 1, 6, 6, generator=generator).clamp(-1, 1)
    with torch.no_grad():
        model.bias.copy_(-model(images).mean(dim=0))
        labels = model(images).argmax(dim=1)
    return model, images, labels


@pytest.fixture(scope="session")
def digits():
    return load_dataset("digits", "test")


@pytest.fixture(scope="session")
def official_data(tmp_path_factory):
    """Folder with MNIST and CIFAR-10 in torchvision's layout, where the developers' copy is there.

    It lies outside the repository and is no part of it; without it the test is skipped.
    """
    if not (SHARED / "unpack.py").is_file():
        pytest.skip("no copy of MNIST and CIFAR-10 beside the checkout")
    root = tmp_path_factory.mktemp("official")
    subprocess.run([sys.executable, SHARED / "unpack.py", root], check=True, capture_output=True)
    return root


@pytest.fixture
def run(capsys):
    """Run a command; give its exit status, its output, and what it said on stderr."""

    def call(*words):
        capsys.readouterr()
        try:
            status = main([str(word) for word in words])
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture(scope="session")
def chromium():
    """Path of a browser; without one the test is skipped, but in CI it fails."""
    path = find_chromium()
    if path is None and os.environ.get("CI"):
        pytest.fail("CI has no Chromium, so the browser tests cannot run there.")
    if path is None:
        pytest.skip("no Chromium on this machine (Debian: the package `chromium`)")
    return path


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Make a file, once a session whichever worker asks first: name, `make(path)` to path."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # what all workers share

    def call(name, make):
        path = folder / name
        with FileLock(folder / f"{name}.lock"):
            if not path.exists():
                draft = folder / f"{name}.part"
                make(draft)
                draft.replace(path)
        return path

    return call


@pytest.fixture(scope="session")
def executed(once):
    """Run a notebook in a fresh kernel, once a session whoever asks: path to `Executed`."""
    from mmc_viz.export import execute
    from mmc_viz.export.executing import Executed

    def run(path, draft):
        fields = vars(execute(path)) | {"path": str(path)}
        draft.write_text(json.dumps(fields), encoding="utf-8")

    @functools.cache
    def call(path):
        file = once(f"{path.stem}.executed.json", lambda draft: run(path, draft))
        fields = json.loads(file.read_text(encoding="utf-8"))
        fields |= {"path": path, "notebook": nbformat.from_dict(fields["notebook"])}
        return Executed(**fields)

    return call


@pytest.fixture(scope="session")
def page_of(executed, once, tmp_path_factory):
    """Give the exported page of a notebook of the course; it is written once for all tests."""
    from mmc_viz.export import course, write_site

    lessons = {lesson.path.name: lesson for lesson in course()}

    def write(name, draft):
        folder = tmp_path_factory.mktemp("site")
        (page,) = write_site(
            [lessons[name]], folder, index=False, run=lambda path, **_: executed(path)
        )
        page.replace(draft)

    return lambda name: once(lessons[name].page, lambda draft: write(name, draft))


@pytest.fixture(scope="session")
def served(chromium, tmp_path_factory):
    """Folder and `Lab` of a JupyterLab that serves it."""
    folder = tmp_path_factory.mktemp("served")
    with jupyter_lab(folder) as lab:
        yield folder, lab


class Desk:
    """One JupyterLab page, in which lessons are opened one after another, as a student does."""

    def __init__(self):
        self._open = ExitStack()
        self._student = None
        self.taken = False  # by the tests of a module

    def student(self):
        if self._student is None:
            self._student = self._open.enter_context(visit())
        return self._student

    def clear(self):
        self.taken = False
        if self._student is not None:
            self._student.close_notebook()

    def leave(self):
        self._open.close()
        self._student = None


DESK = Desk()


def pytest_runtest_setup(item):
    # Playwright keeps an event loop running in this thread. What has one of its own must not meet
    # it, and a second browser would not start beside it.
    if not DESK.taken and "open_lesson" not in item.fixturenames:
        DESK.leave()


def pytest_sessionfinish():
    DESK.leave()


@pytest.fixture(scope="module")
def open_lesson(served):
    """Open a notebook, of the course or any other, and run all its cells: `lab, student`.

    Notebook and kernel stay for the tests of one module.
    """
    folder, lab = served

    def call(name, *, seconds=240):
        path = Path(shutil.copy(NOTEBOOKS / name, folder))
        student = DESK.student()
        student.errors.clear()
        student.open_notebook(lab, path.name)
        student.use_theme(dark=False)
        student.run_all()
        student.wait_until_idle(seconds)
        return lab, student

    DESK.taken = True
    yield call
    try:
        DESK.clear()
    finally:
        lab.shut_down_kernels()
