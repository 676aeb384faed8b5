"""A figure in a notebook: the same that plotly's renderer gives, without loading the renderers."""

import pickle

import plotly.graph_objects as go
import plotly.io as pio
import pytest
from kernels import kernel

from mmc_viz.centers import arrangement, geometry
from mmc_viz.figures import gram
from mmc_viz.figures.shown import MIME_TYPE, Figure

FIGURE = """
from mmc_viz.centers import arrangement, geometry
from mmc_viz.figures import gram
figure = gram(geometry(arrangement("spread", 3, 2)))
"""
LOADED = "import sys; print('nbformat' in sys.modules, 'jsonschema' in sys.modules)"


@pytest.fixture
def figure():
    return gram(geometry(arrangement("spread", 3, 2)))


def test_a_notebook_gets_what_plotly_s_renderer_gives(figure, tmp_path):
    usual = pio.renderers["plotly_mimetype"].to_mimebundle(figure.to_dict())
    with kernel(tmp_path) as running:
        running.run(FIGURE)
        (shown,) = running.run("figure").outputs
        assert shown["data"] == usual and MIME_TYPE in usual
        assert running.run(LOADED).text == "False False\n"
        # Whoever chooses a renderer gets it.
        running.run("import plotly.io; plotly.io.renderers.default = 'json'")
        (shown,) = running.run("figure").outputs
        assert set(shown["data"]) == {"application/json"}


def test_a_host_that_takes_another_form_gets_it(tmp_path):
    with kernel(tmp_path, PLOTLY_RENDERER="json") as running:
        running.run(FIGURE)
        (shown,) = running.run("figure").outputs
        assert set(shown["data"]) == {"application/json"}


def test_it_is_a_figure_like_all_others(figure):
    assert isinstance(figure, Figure) and isinstance(figure, go.Figure)
    assert figure == go.Figure(figure)
    again = pickle.loads(pickle.dumps(figure))
    assert type(again) is Figure and again == figure
