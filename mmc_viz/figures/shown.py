"""A figure that is in the notebook at once.

Plotly shows a figure by its renderers, of which there are many. Loading them loads nbformat, to
ask for its version; that loads jsonschema, and that compiles 38 grammars by which it could check
international addresses: three seconds before the first figure of a notebook. JupyterLab needs the
figure's data and nothing else, so those are sent without asking.
"""

import json
import os
import sys

import plotly.graph_objects as go

MIME_TYPE = "application/vnd.plotly.v1+json"

#: Where one of these is set, somebody has chosen a renderer, or the host takes another one.
_CHOICES = (
    "PLOTLY_RENDERER",
    "COLAB_NOTEBOOK_ID",
    "AZURE_NOTEBOOKS_HOST",
    "COCALC_PROJECT_ID",
    "DATABRICKS_RUNTIME_VERSION",
)


class Figure(go.Figure):
    """A plotly figure like all others, shown without plotly's renderers where nobody chose one."""

    def _ipython_display_(self) -> None:
        if not _is_left_to_us():
            super()._ipython_display_()
            return
        from IPython.display import display

        display({MIME_TYPE: json.loads(self.to_json(validate=False))}, raw=True)


def _is_left_to_us() -> bool:
    """Whether this is a Jupyter kernel, and plotly's renderers are not even loaded."""
    if "plotly.io._renderers" in sys.modules or any(name in os.environ for name in _CHOICES):
        return False
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel") and not os.path.exists("/kaggle/input")
