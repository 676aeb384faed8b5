"""How well attacks carry over from one model to another."""

import plotly.graph_objects as go
from plotly.colors import sample_colorscale, unlabel_rgb

from mmc_viz.evaluation import TransferMatrix
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure
from mmc_viz.results import ShippedMatrix

_ROOMY = 5  # so many columns leave room for numbers like 39.6 %
_SCALE = "cividis"  # grows in lightness alone, and looks the same to colour-blind eyes


def attack_matrix(
    matrix: TransferMatrix | ShippedMatrix, *, title: str | None = None, theme: str = "both"
) -> go.Figure:
    """Draw a transfer matrix: accuracy of each model on images crafted on each.

    Cells where both are the same model, the white box, are framed.

    Parameters
    ----------
    matrix : TransferMatrix or ShippedMatrix
        Its sources become rows, its targets columns.
    title : str, optional
        None: a plain one.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If the theme is unknown.
    """
    colours = style.resolve(theme)
    accuracy = matrix.accuracy.tolist()
    rows, columns = len(matrix.sources), len(matrix.targets)
    # Cells stand at numbers, not names: two models may have the same name.
    cells = [(i, j) for i in range(rows) for j in range(columns)]
    images = matrix.count
    heat = go.Heatmap(
        z=accuracy,
        zmin=0,
        zmax=1,
        colorscale=_SCALE,
        xgap=3,
        ygap=3,
        text=[[_sentence(matrix, i, j, images) for j in range(columns)] for i in range(rows)],
        hovertemplate="%{text}<extra></extra>",
        colorbar={
            "title": {"text": "accuracy (%)", "side": "right"},
            "tickvals": [0, 0.25, 0.5, 0.75, 1],
            "ticktext": ["0", "25", "50", "75", "100"],
            "outlinewidth": 0,
            "thickness": 16,
        },
    )
    # Where many stand beside each other there is room for whole percents alone.
    many = columns > _ROOMY
    numbers = go.Scatter(
        x=[j for _, j in cells],
        y=[i for i, _ in cells],
        text=[
            f"{100 * accuracy[i][j]:.0f}" if many else style.percent(accuracy[i][j])
            for i, j in cells
        ],
        mode="text",
        textfont={"size": 16 if many else 20, "color": [_ink(accuracy[i][j]) for i, j in cells]},
        hoverinfo="skip",
        showlegend=False,
    )
    figure = Figure([heat, numbers])
    figure.update_layout(
        style.layout(
            colours,
            title=title or "Accuracy of each model on what was crafted on each",
            subtitle=f"{images} images; framed: crafted on the very model that judges (white box)",
            height=max((52 if many else 90) * rows, 220) + (150 if many else 90),
        )
    )
    names = {"showgrid": False, "showline": False, "ticks": "", "showticklabels": True}
    figure.update_xaxes(
        style.axis(
            colours,
            "judged by",
            **names,
            tickvals=list(range(columns)),
            ticktext=[style.quote(name) for name in matrix.targets],
            range=[-0.52, columns - 0.48],
        )
    )
    figure.update_yaxes(
        style.axis(
            colours,
            "crafted on",
            **names,
            tickvals=list(range(rows)),
            ticktext=[style.quote(name) for name in matrix.sources],
            range=[rows - 0.47, -0.53],  # the first source on top
        )
    )
    for i, j in cells:
        if matrix.sources[i] == matrix.targets[j]:
            # Black on white: one of the two stands out on any cell.
            for colour, width in (("#ffffff", 7), ("#000000", 3)):
                figure.add_shape(
                    type="rect",
                    x0=j - 0.495,
                    x1=j + 0.495,
                    y0=i - 0.49,
                    y1=i + 0.49,
                    line={"color": colour, "width": width},
                )
    if many:
        said = [_column(matrix, j) for j in range(columns)]
    else:
        said = [
            f"{style.quote(matrix.targets[j])} gets {style.percent(accuracy[i][j])} right of what "
            f"was crafted on {style.quote(matrix.sources[i])}"
            for i, j in cells
        ]
    return style.describe(figure, f"Of {images} images: {'; '.join(said)}.")


def _column(matrix: TransferMatrix | ShippedMatrix, j: int) -> str:
    """Say of one judge what harms it most and least: all pairs would fill a page."""
    left = matrix.accuracy[:, j].tolist()
    most, least = left.index(min(left)), left.index(max(left))
    return (
        f"{style.quote(matrix.targets[j])} gets between {style.percent(left[most])} (crafted on "
        f"{style.quote(matrix.sources[most])}) and {style.percent(left[least])} (on "
        f"{style.quote(matrix.sources[least])}) right"
    )


def _sentence(matrix: TransferMatrix | ShippedMatrix, i: int, j: int, images: int) -> str:
    source, target = style.quote(matrix.sources[i]), style.quote(matrix.targets[j])
    return (
        f"{target} gets {style.percent(matrix.accuracy[i][j].item())}"
        f"<br>of {images} images crafted on {source} right"
    )


def _ink(share: float) -> str:
    """Black or white, whichever is read better on the colour of a cell."""
    colour = sample_colorscale(_SCALE, [share])[0]
    channels = [
        value / 3294.6 if value <= 10.31 else ((value / 255 + 0.055) / 1.055) ** 2.4
        for value in unlabel_rgb(colour)
    ]
    luminance = 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    return "#000000" if luminance > 0.179 else "#ffffff"  # where both have a contrast of 4.58
