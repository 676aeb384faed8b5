"""Maps of features, with what they distort beside them."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.embeddings import Embedding, MapView
from mmc_viz.figures import map_panels as panels
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure

#: Pictures in the hover labels of one figure, at most.
PICTURES = 2000


def embedding(
    result: Embedding,
    *,
    pictures: int = PICTURES,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw the maps of several models side by side, over the distances of the true space.

    A filled symbol is a clean image, an open one the same image under attack, joined to it by a
    line; colour and symbol are those of the true class. Hovering shows the picture. Over each map
    stands how far its neighbourhoods can be believed, under it how the distances of all pairs of
    clean images are spread in feature space, within classes and between them: these no map
    distorts.

    Parameters
    ----------
    result : Embedding
        From `mmc_viz.embeddings.compare_maps`. Two models fill a page of 760 pixels.
    pictures : int
        Points that get a picture, at most; where there are more, they are spread evenly over them
        and the subtitle says so. A point with a picture takes about 0.6 KB of the figure.
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
        If there is no map, `pictures` is negative, or the theme is unknown.
    """
    colours = style.resolve(theme)
    if not result.views:
        raise ValueError("`result` must hold at least one map; got none.")
    if pictures < 0:
        raise ValueError(f"`pictures` must be at least 0; got {pictures}.")
    views = result.views
    figure = make_subplots(
        figure=Figure(),
        rows=2,
        cols=len(views),
        row_heights=[0.68, 0.32],
        # Between the rows stand the lower panels' lines, and the axes of maps that have any.
        vertical_spacing=0.17 if any(v.map.is_linear for v in views.values()) else 0.1,
        horizontal_spacing=0.2 / len(views),
    )
    points = [(v, kind) for v in views.values() for kind in ("clean", "placed") if _count(v, kind)]
    total = sum(_count(view, kind) for view, kind in points)
    shown = iter(panels.spread(total, pictures))
    known: dict[str, None] = {}  # names in the legend, once each
    for column, view in enumerate(views.values(), start=1):
        clean = [next(shown) for _ in range(_count(view, "clean"))]
        under_attack = [next(shown) for _ in range(_count(view, "placed"))]
        traces = _clean(view, result.class_names, colours, clean)
        if view.placed is not None:
            # Lines lie below all symbols.
            attacked = _attacked(view, result.class_names, colours, under_attack)
            traces = [_joins(view, colours), *traces, *attacked]
        if view.centers is not None:
            traces.append(_centers(view, result.class_names, colours))
        panels.add(figure, traces, known, row=1, col=column)
        panels.add(figure, _histogram(view, colours), known, row=2, col=column)

    figure.update_layout(
        style.layout(
            colours,
            title=title or "The same images in the feature space of " + panels.models(len(views)),
            subtitle=_subtitle(result, total, pictures),
            height=600,
        )
    )
    for column, (name, view) in enumerate(views.items(), start=1):
        panels.map_axes(figure, view.map, colours, row=1, col=column)
        lines = _measures(view)
        panels.over(
            figure, [f"<b>{style.quote(name)}</b>", *map(panels.small, lines)], row=1, col=column
        )
        panels.over(figure, [panels.small(_medians(view))], row=2, col=column)
        figure.update_xaxes(
            style.axis(colours, nticks=6, rangemode="tozero")
            | {"title": panels.heading("distance in feature space")},
            row=2,
            col=column,
        )
        figure.update_yaxes(
            style.axis(colours, tickformat=".0%", nticks=5, rangemode="tozero"), row=2, col=column
        )
    figure.update_yaxes(title=panels.heading("share of pairs"), row=2, col=1)
    figure.layout.margin.t += 22 + 19 * max(len(_measures(view)) for view in views.values())
    panels.legend(figure, known)
    return style.describe(figure, _sentence(views))


# --- one panel ------------------------------------------------------------------------------------


def _count(view: MapView, kind: str) -> int:
    if kind == "clean":
        return len(view.labels)
    return 0 if view.placed is None else len(view.placed.origins)


def _clean(
    view: MapView, names: list[str], colours: style.Theme, shown: list[bool]
) -> list[go.Scatter]:
    """Draw the clean images, class by class."""
    labels = view.labels.tolist()
    guesses = labels if view.predictions is None else view.predictions.tolist()
    drawn = panels.texts(view.images, shown)
    words = [
        f"{drawn[n]}image {n}: {style.quote(names[label])}"
        + ("" if guesses[n] == label else f"<br>taken for {style.quote(names[guesses[n]])}")
        for n, label in enumerate(labels)
    ]
    x, y = panels.columns(view.positions.tolist())
    traces = []
    for label in sorted(set(labels)):
        rows = [n for n, one in enumerate(labels) if one == label]
        traces.append(
            panels.points_of_class(
                label, names, colours, [x[n] for n in rows], [y[n] for n in rows]
            )
        )
        traces[-1].update(text=[words[n] for n in rows], hovertemplate="%{text}<extra></extra>")
    return traces


def _attacked(
    view: MapView, names: list[str], colours: style.Theme, shown: list[bool]
) -> list[go.Scatter]:
    """Draw the images under attack with open symbols, and their name once for the legend."""
    placed, labels = view.placed, view.labels.tolist()
    origins, guesses = placed.origins.tolist(), placed.predictions.tolist()
    nearest = placed.nearest.tolist()
    drawn = panels.texts(placed.images, shown)
    x, y = panels.columns(placed.positions.tolist())
    words = [
        f"{drawn[row]}image {n} under attack: {style.quote(names[labels[n]])}"
        f"<br>taken for {style.quote(names[guesses[row]])}"
        f"<br>{nearest[row]:.3g} from the nearest clean feature"
        for row, n in enumerate(origins)
    ]
    traces = [
        go.Scatter(
            x=[None],
            y=[None],
            name="under attack",
            mode="markers",
            marker={"symbol": "circle-open", "size": 10, "color": colours.text}
            | {"line": {"width": 2}},
            legendgroup="under attack",
            hoverinfo="skip",
        )
    ]
    for label in sorted({labels[n] for n in origins}):
        rows = [row for row, n in enumerate(origins) if labels[n] == label]
        symbol = style.at(style.CLASS_SYMBOLS, label)
        traces.append(
            go.Scatter(
                x=[x[row] for row in rows],
                y=[y[row] for row in rows],
                text=[words[row] for row in rows],
                name=f"{style.quote(names[label])}, under attack",
                mode="markers",
                marker={
                    "symbol": f"{symbol}-open",
                    "size": 6,
                    "color": style.at(colours.classes, label),
                    "line": {"width": 1.3},
                },
                legendgroup="under attack",
                showlegend=False,
                hovertemplate="%{text}<extra></extra>",
            )
        )
    return traces


def _joins(view: MapView, colours: style.Theme) -> go.Scatter:
    """Join each image under attack to the clean one."""
    starts, ends = view.positions.tolist(), view.placed.positions.tolist()
    x, y = [], []
    for row, n in enumerate(view.placed.origins.tolist()):
        from_x, from_y = panels.columns([starts[n], ends[row]])
        x += [*from_x, None]
        y += [*from_y, None]
    return go.Scatter(
        x=x,
        y=y,
        name="from clean to attacked",
        mode="lines",
        line={"color": colours.text, "width": 1},
        opacity=0.2,
        legendgroup="under attack",
        showlegend=False,
        hoverinfo="skip",
    )


def _centers(view: MapView, names: list[str], colours: style.Theme) -> go.Scatter:
    x, y = panels.columns(view.centers.tolist())
    return go.Scatter(
        x=x,
        y=y,
        text=[f"center of {style.quote(names[label])}" for label in range(len(x))],
        name="class center",
        mode="markers",
        marker={"symbol": "circle-cross-open", "size": 15, "color": colours.text}
        | {"line": {"width": 2}},
        legendgroup="class center",
        hovertemplate="%{text}<extra></extra>",
    )


def _histogram(view: MapView, colours: style.Theme) -> list[go.Scatter]:
    """Draw the distances of all pairs as steps: within classes filled, between classes dashed."""
    quality = view.quality
    edges = [panels.short(edge) for edge in quality.edges.tolist()]
    traces = []
    for name, shares, counts, look in (
        (
            "pairs of two classes",
            quality.between_share,
            quality.between,
            {"line": {"color": colours.text, "width": 3, "dash": "dot", "shape": "hv"}},
        ),
        (
            "pairs within a class",
            quality.within_share,
            quality.within,
            {
                "line": {"color": colours.text, "width": 2, "shape": "hv"},
                "fill": "tozeroy",
                "fillcolor": style.faint(colours.text, 0.25),
            },
        ),
    ):
        if not int(counts.sum()):  # no such pairs: nothing to draw, and no legend of it
            continue
        values = shares.tolist()
        words = [
            f"{count} {name}, {style.percent(values[b])} of them<br>"
            f"{edges[b]:.3g} to {edges[b + 1]:.3g} apart"
            for b, count in enumerate(counts.tolist())
        ]
        traces.append(
            go.Scatter(
                x=edges,
                y=[*values, values[-1]],  # the last step needs an end
                text=[*words, words[-1]],
                name=name,
                mode="lines",
                legendgroup=name,
                hovertemplate="%{text}<extra></extra>",
                **look,
            )
        )
    return traces


# --- words ----------------------------------------------------------------------------------------


def _measures(view: MapView) -> list[str]:
    """Say over a map how far it can be believed, and what the attack did."""
    quality = view.quality
    lines = [
        f"trustworthiness {quality.trustworthiness:.3f}, continuity {quality.continuity:.3f}",
        f"same class nearby {style.percent(quality.class_share)}, "
        f"in truth {style.percent(quality.true_class_share)}",
    ]
    if view.placed is not None:
        lines.append(f"under attack: {view.fooled} of {len(view.placed.origins)} fooled")
    if view.remoteness is not None:
        lines.append(f"these {view.remoteness:.1f} times as isolated as clean ones")
    return lines


def _medians(view: MapView) -> str:
    within, between = view.quality.median_within, view.quality.median_between
    return ", ".join(
        f"{name} {value:.3g}"
        for name, value in (("median within", within), ("between", between))
        if value is not None
    )


def _subtitle(result: Embedding, total: int, pictures: int) -> str:
    """Say what the map distorts, and how it was made."""
    views = result.views
    sentences = list(dict.fromkeys(style.quote(view.map.note) for view in views.values()))
    if result.spanned_by is not None:
        *most, last = [style.quote(result.class_names[label]) for label in result.spanned_by]
        sentences.append(f"It runs through the {result.anchors} of {', '.join(most)} and {last}.")
    if any(view.joint for view in views.values()):
        sentences.append("It was fitted to clean and attacked images together.")
    if 0 < pictures < total and any(view.images is not None for view in views.values()):
        sentences.append(f"Pictures: {pictures} of {total} points.")
    return " ".join(sentences)


def _sentence(views: dict[str, MapView]) -> str:
    """Say in one sentence what the figure shows."""
    parts = []
    for name, view in views.items():
        quality = view.quality
        part = (
            f"{style.quote(name)} ({len(view.labels)} images, "
            f"{panels.METHOD_NAMES[view.map.method]}): "
            f"trustworthiness {quality.trustworthiness:.3f}, continuity {quality.continuity:.3f}, "
            f"{style.percent(quality.true_class_share)} of the {quality.neighbours} nearest "
            f"features share the class"
        )
        if view.placed is not None:
            part += f", {view.fooled} of {len(view.placed.origins)} images under attack are fooled"
        if view.remoteness is not None:
            part += (
                f" and lie {view.remoteness:.1f} times as far from clean features as these from "
                "one another"
            )
        parts.append(part)
    return "Maps of features: " + "; ".join(parts) + "."
