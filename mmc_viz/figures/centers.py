"""Class centers as points in space, and as a table of pairs."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from mmc_viz.centers import Geometry
from mmc_viz.figures import style
from mmc_viz.figures.matrices import _SCALE, _ink
from mmc_viz.figures.shown import Figure

_NUMBERED = 12  # classes up to which the numbers fit into their cells
_QUANTITIES = {"angle": "angle (degrees)", "inner_product": "inner product", "distance": "distance"}
#: Of the frame, without opacity: WebGL paints a translucent line over a clear paper too bright.
_FRAME = {"both": "#8c8c8c", "light": "#c8c8c8", "dark": "#4c4c4c"}


def centers_3d(
    geometry: Geometry,
    *,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw class centers in space, to be turned by hand, with lines between the tight pairs.

    Centers of two dimensions lie in the plane of the same figure, seen from above. The sphere, or
    the circle, goes through the centers; if their norms differ, through the farthest.

    Parameters
    ----------
    geometry : Geometry
        Of centers in 2 or 3 dimensions.
    class_names : sequence of str, optional
        One for each center. None: numbers from 0 on.
    title : str, optional
        None: one made from the numbers.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If the centers have another dimension, the names do not fit, or the theme is unknown.
    """
    colours = style.resolve(theme)
    if geometry.dim not in (2, 3):
        raise ValueError(
            f"`geometry` must be of centers in 2 or 3 dimensions to be drawn in space; got "
            f"{geometry.dim}. Use `gram`, which shows all pairs of any dimension."
        )
    names = _names(geometry, class_names)
    flat = geometry.dim == 2
    points = [[*point, 0.0][:3] for point in geometry.centers.tolist()]
    radius = geometry.norm_range[1]

    figure = Figure()
    frame = [_ring(radius, 0.0, 2)] if flat else _graticule(radius)
    figure.add_trace(
        go.Scatter3d(
            **_lines(frame),
            mode="lines",
            name="sphere",
            line={"color": _FRAME[theme], "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    tight = geometry.tight.tolist()
    figure.add_trace(
        go.Scatter3d(
            **_lines([[points[i], points[j]] for i, j in tight]),
            mode="lines",
            name=f"tight pair, {geometry.smallest_angle:.2f} degrees",
            line={"color": colours.wrong, "width": 6},
            hoverinfo="skip",
            legendgroup="tight",
        )
    )
    middles = [[(a + b) / 2 for a, b in zip(points[i], points[j], strict=True)] for i, j in tight]
    figure.add_trace(
        go.Scatter3d(
            **_coordinates(middles),
            mode="markers",
            name="tight pair",
            marker={"symbol": "diamond", "size": 4, "color": colours.wrong},
            text=[_pair(geometry, names, i, j) for i, j in tight],
            hovertemplate="%{text}<extra></extra>",
            legendgroup="tight",
            showlegend=False,
        )
    )
    figure.add_trace(
        go.Scatter3d(
            **_coordinates(points),
            mode="markers+text",
            name="class center",
            marker={
                "symbol": "circle",
                "size": 9,
                "color": [style.at(colours.classes, i) for i in range(len(points))],
                "line": {"color": colours.text, "width": 1},
            },
            text=[f"<b>{name}</b>" for name in names],
            textposition=[_beside(*point) if flat else "top center" for point in points],
            textfont={"size": style.TEXT_SIZE + 1, "color": colours.text},
            customdata=[_center(geometry, names, i) for i in range(len(points))],
            hovertemplate="%{customdata}<extra></extra>",
            showlegend=False,
        )
    )
    reach = 1.12 * radius
    side = {"visible": False, "range": [-reach, reach]}
    figure.update_layout(
        style.layout(
            colours,
            title=title or _headline(geometry),
            subtitle=_bounds(geometry) + ("" if flat else "; drag to turn"),
            height=500,
        )
    )
    figure.update_layout(
        scene={
            "xaxis": side,
            "yaxis": side,
            "zaxis": side,
            "aspectmode": "manual",
            "aspectratio": dict.fromkeys("xyz", 1.75 if flat else 1.0),
            "bgcolor": style.CLEAR,
            "domain": {"x": [0, 1], "y": [0, 1]},
            "camera": {
                "eye": {"x": 0, "y": 0, "z": 1.05} if flat else {"x": 0.95, "y": 0.62, "z": 0.47},
                "up": {"x": 0, "y": 1, "z": 0} if flat else {"x": 0, "y": 0, "z": 1},
                "projection": {"type": "orthographic" if flat else "perspective"},
            },
        },
        legend=style.legend_below(),
    )
    figure.layout.margin.update(l=10, r=10, b=50)
    return style.describe(figure, _sentence(geometry))


def gram(
    geometry: Geometry,
    *,
    quantity: str = "angle",
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw a cell for each pair of centers, and a dot in those of the tight pairs.

    The diagonal has no colour: there a center meets itself. Numbers stand in the cells of up to 12
    classes; the hover text has them all.

    Parameters
    ----------
    geometry : Geometry
        Of centers in any dimension.
    quantity : {"angle", "inner_product", "distance"}
        What is drawn: angles in degrees, inner products in squared feature units, or distances.
    class_names : sequence of str, optional
        One for each center. None: numbers from 0 on.
    title : str, optional
        None: one made from the numbers.
    theme : {"both", "light", "dark"}
        Kind of page.

    Returns
    -------
    figure : plotly.graph_objects.Figure

    Raises
    ------
    ValueError
        If the quantity or the theme is unknown, or the names do not fit.
    """
    colours = style.resolve(theme)
    if quantity not in _QUANTITIES:
        raise ValueError(f"`quantity` must be one of {', '.join(_QUANTITIES)}; got {quantity!r}.")
    names = _names(geometry, class_names)
    table = {"angle": geometry.angles, "inner_product": geometry.gram}.get(
        quantity, geometry.distances
    )
    values = table.tolist()
    count = geometry.num_classes
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    low, high = _span([values[i][j] for i, j in pairs], quantity, geometry)
    figure = Figure(
        go.Heatmap(
            z=[[None if i == j else values[i][j] for j in range(count)] for i in range(count)],
            zmin=low,
            zmax=high,
            colorscale=_SCALE,
            xgap=2 if count <= 2 * _NUMBERED else 0,
            ygap=2 if count <= 2 * _NUMBERED else 0,
            text=[
                [
                    _center(geometry, names, i) if i == j else _pair(geometry, names, i, j)
                    for j in range(count)
                ]
                for i in range(count)
            ],
            hovertemplate="%{text}<extra></extra>",
            hoverongaps=False,
            colorbar={
                "title": {"text": _QUANTITIES[quantity], "side": "right"},
                "outlinewidth": 0,
                "thickness": 16,
            },
        )
    )
    if count <= _NUMBERED:
        diagonal = [(i, i) for i in range(count)] if quantity == "inner_product" else []
        share = {(i, j): (values[i][j] - low) / (high - low) for i, j in pairs}
        figure.add_trace(
            go.Scatter(
                x=[j for _, j in pairs + diagonal],
                y=[i for i, _ in pairs + diagonal],
                text=[_short(values[i][j]) for i, j in pairs + diagonal],
                mode="text",
                textfont={
                    "size": 16 if count <= 10 else 14,
                    "color": [_ink(share[pair]) for pair in pairs] + [colours.text] * len(diagonal),
                },
                hoverinfo="skip",
                showlegend=False,
            )
        )
    across, up = (0.41, 0.33) if count <= _NUMBERED else (0, 0)
    both = [pair for i, j in geometry.tight.tolist() for pair in ((i, j), (j, i))]
    figure.add_trace(
        go.Scatter(
            x=[j + across for _, j in both],
            y=[i - up for i, _ in both],
            mode="markers",
            name=f"tight pair, {geometry.smallest_angle:.2f} degrees",
            # Black within white: one of the two stands out on any cell.
            marker={
                "symbol": "circle",
                "size": 7 if count <= 2 * _NUMBERED else 5,
                "color": "#000000",
                "line": {"color": "#ffffff", "width": 1.5 if count <= 2 * _NUMBERED else 1},
            },
            hoverinfo="skip",
            showlegend=True,
        )
    )
    figure.update_layout(
        style.layout(
            colours,
            title=title or _headline(geometry),
            subtitle=_bounds(geometry),
            height=max(46 * min(count, 12), 260),
        )
    )
    plain = {"showgrid": False, "showline": False, "ticks": "", "range": [-0.52, count - 0.48]}
    if count <= 2 * _NUMBERED:
        plain |= {"tickvals": list(range(count)), "ticktext": names}
    figure.update_xaxes(style.axis(colours, **plain))
    figure.update_yaxes(style.axis(colours, **plain | {"range": [count - 0.48, -0.52]}))
    figure.layout.margin.b = 90
    figure.update_layout(legend=style.legend_below())
    return style.describe(figure, _sentence(geometry))


def _names(geometry: Geometry, class_names: Sequence[str] | None) -> list[str]:
    if class_names is None:
        return [str(i) for i in range(geometry.num_classes)]
    if len(class_names) != geometry.num_classes:
        raise ValueError(
            f"`class_names` must hold {geometry.num_classes} names, one for each center; got "
            f"{len(class_names)}."
        )
    return [style.quote(str(name)) for name in class_names]


def _headline(geometry: Geometry) -> str:
    return (
        f"{geometry.num_classes} class centers in {geometry.dim} dimension"
        f"{'s' * (geometry.dim > 1)}: the smallest angle is {geometry.smallest_angle:.2f} degrees"
    )


def _bounds(geometry: Geometry) -> str:
    """Say how many pairs are tight, what no arrangement exceeds, and how long the centers are."""
    count, tight = geometry.num_classes, len(geometry.tight)
    pairs = count * (count - 1) // 2
    low, high = geometry.norm_range
    if tight == pairs:
        share = "every pair is tight"
    else:
        share = f"{tight:,} of {pairs:,} pairs {'is' if tight == 1 else 'are'} tight"
    bound = f"the simplex bound, for any dimension, is {geometry.simplex_angle:.2f}"
    if geometry.smallest_angle >= geometry.simplex_angle - geometry.tolerance:
        bound = "the simplex bound, for any dimension, is reached"
    norms = f"all of norm {high:.4g}"
    if not geometry.equal_norms:
        norms = (
            f"norms from {low:.4g} to {high:.4g}, so the smallest angle need not belong to the "
            f"smallest distance, {geometry.smallest_distance:.4g}"
        )
    return f"{share}; {bound}; {norms}"


def _sentence(geometry: Geometry) -> str:
    bounds = _bounds(geometry)
    return f"{_headline(geometry)}. {bounds[0].upper()}{bounds[1:]}."


def _pair(geometry: Geometry, names: list[str], i: int, j: int) -> str:
    tight = [min(i, j), max(i, j)] in geometry.tight.tolist()
    return (
        f"{names[i]} and {names[j]}{': a tight pair' if tight else ''}"
        f"<br>angle {geometry.angles[i, j].item():.3f} degrees"
        f"<br>inner product {_short(geometry.gram[i, j].item())}"
        f"<br>distance {_short(geometry.distances[i, j].item())}"
    )


def _center(geometry: Geometry, names: list[str], i: int) -> str:
    place = ", ".join(_short(value) for value in geometry.centers[i].tolist()[:3])
    dots = ", ..." if geometry.dim > 3 else ""
    return f"{names[i]}<br>norm {_short(geometry.norms[i].item())}<br>at ({place}{dots})"


def _beside(across: float, up: float, _: float) -> str:
    """Say on which side of a point of the plane its name stands: outside."""
    if abs(across) < 0.4 * abs(up):
        return "top center" if up > 0 else "bottom center"
    return "middle right" if across > 0 else "middle left"


def _short(value: float) -> str:
    """Write to a tenth what is large, and to three digits what is small."""
    # 9.995 is 10.0 in three digits: rounding noise on either side of 10 must not show.
    text = f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.3g}"
    return "0" if abs(float(text)) < 1e-6 else text


def _span(values: list[float], quantity: str, geometry: Geometry) -> tuple[float, float]:
    """Give the ends of the colour scale, not so close that rounding would be given colours."""
    largest = geometry.norm_range[1]
    least = {"angle": 2.0, "inner_product": 0.02 * largest**2}.get(quantity, 0.02 * largest)
    low, high = min(values), max(values)
    spare = max(least - (high - low), 0) / 2
    return low - spare, high + spare


def _coordinates(points: list[list[float]]) -> dict[str, list[float]]:
    return {axis: [point[k] for point in points] for k, axis in enumerate("xyz")}


def _lines(lines: list[list[list[float]]]) -> dict[str, list[float | None]]:
    """Join lines into one trace, with a gap after each."""
    return {
        axis: [value for line in lines for value in (*(point[k] for point in line), None)]
        for k, axis in enumerate("xyz")
    }


def _ring(radius: float, height: float, across: int, *, turn: float = 0.0) -> list[list[float]]:
    """Give a circle of the frame: around axis `across`, or through both poles of the third."""
    ring = []
    for step in range(73):
        angle = math.radians(5 * step)
        one, other = radius * math.cos(angle), radius * math.sin(angle)
        if across == 2:
            ring.append([one, other, height])
        else:
            ring.append([one * math.cos(turn), one * math.sin(turn), other])
    return ring


def _graticule(radius: float) -> list[list[list[float]]]:
    """Give circles of latitude and longitude, every 30 degrees: the frame of a sphere."""
    latitudes = [math.radians(degrees) for degrees in range(-60, 61, 30)]
    return [
        *(_ring(radius * math.cos(at), radius * math.sin(at), 2) for at in latitudes),
        *(_ring(radius, 0.0, 0, turn=math.radians(degrees)) for degrees in range(0, 180, 30)),
    ]
