"""The way of images through a map, as the attacker's budget grows."""

from collections.abc import Callable, Iterator

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mmc_viz.embeddings import MapTrajectories
from mmc_viz.figures import map_panels as panels
from mmc_viz.figures import style
from mmc_viz.figures.shown import Figure

#: Pictures in the hover labels of one figure, at most.
PICTURES = 2000

_AFTER = "way after being fooled"
_MEDIAN = "median of all images"


def trajectories(
    result: MapTrajectories | dict[str, MapTrajectories],
    *,
    pictures: int = PICTURES,
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw the way of each image through a map, over the distance that its feature truly moves.

    A way begins at a filled symbol with the colour and symbol of the true class, and ends at an
    open one with those of the class that the model then sees. In between stands a dot for each
    budget, larger ones later. The line is solid while the model is right, dotted from the step that
    fools it. The map's own points lie faintly behind. Lines on a map are bent as the map is, so
    below it stands how far each feature moves in feature space, against the budget.

    Parameters
    ----------
    result : MapTrajectories or dict[str, MapTrajectories]
        One; or name to result, drawn side by side. Two fill a page of 760 pixels.
    pictures : int
        Points of ways that get a picture when one hovers over them, at most; where there are more,
        they are spread evenly over them and the subtitle says so. A point with a picture takes
        about 0.6 KB of the figure.
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
        If there is no result, `pictures` is negative, or the theme is unknown.
    """
    colours = style.resolve(theme)
    named = result if isinstance(result, dict) else {"": result}
    if not named:
        raise ValueError("`result` must hold at least one result; got none.")
    if pictures < 0:
        raise ValueError(f"`pictures` must be at least 0; got {pictures}.")
    figure = make_subplots(
        figure=Figure(),
        rows=2,
        cols=len(named),
        row_heights=[0.7, 0.3],
        vertical_spacing=0.15 if any(one.map.is_linear for one in named.values()) else 0.1,
        horizontal_spacing=0.2 / len(named),
    )
    total = sum(one.success.numel() for one in named.values())
    shown = iter(panels.spread(total, pictures))
    known: dict[str, None] = {}  # names in the legend, once each
    for column, one in enumerate(named.values(), start=1):
        places = one.positions.tolist()
        drawn = [next(shown) for _ in range(one.success.numel())]
        on_map = [
            *_behind(one, colours),
            *_ways(one, colours, lambda k, n, places=places: tuple(places[k][n])),
            *_points(one, colours, drawn),
        ]
        panels.add(figure, on_map, known, row=1, col=column)
        panels.add(figure, _true_ways(one, colours), known, row=2, col=column)

    figure.update_layout(
        style.layout(
            colours,
            title=title or "Where images move on the map as the budget grows",
            subtitle=_subtitle(named, total, pictures),
            height=660,
        )
    )
    for column, (name, one) in enumerate(named.items(), start=1):
        panels.map_axes(figure, one.map, colours, row=1, col=column)
        head = [f"<b>{style.quote(name)}</b>"] if name else []
        panels.over(figure, [*head, *map(panels.small, _measures(one))], row=1, col=column)
        figure.update_xaxes(
            style.axis(colours, nticks=6) | {"title": panels.heading("budget epsilon")},
            row=2,
            col=column,
        )
        figure.update_yaxes(style.axis(colours, nticks=5, rangemode="tozero"), row=2, col=column)
    figure.update_yaxes(title=panels.heading("distance moved<br>in feature space"), row=2, col=1)
    lines = max(len(_measures(one)) for one in named.values())
    figure.layout.margin.t += 19 * lines + (22 if any(named) else 0)
    panels.legend(figure, known)
    return style.describe(figure, _sentence(named))


# --- one panel ------------------------------------------------------------------------------------


def _behind(one: MapTrajectories, colours: style.Theme) -> list[go.Scatter]:
    """Draw the map's own points faintly, by class where classes are known."""
    x, y = panels.columns(one.map.positions.tolist())
    if one.map_labels is None:
        marker = {"size": 4, "color": colours.text, "opacity": 0.3}
        look = {"mode": "markers", "marker": marker, "hoverinfo": "skip"}
        return [go.Scatter(x=x, y=y, name="points of the map", **look)]
    labels, tracked = one.map_labels.tolist(), set(one.labels.tolist())
    traces = []
    for label in sorted(set(labels)):
        rows = [n for n, own in enumerate(labels) if own == label]
        traces.append(
            panels.points_of_class(
                label, one.class_names, colours, [x[n] for n in rows], [y[n] for n in rows]
            )
        )
        # A class with images on their way gets its legend from these, which are not faint.
        traces[-1].update(marker={"size": 4, "opacity": 0.3}, showlegend=label not in tracked)
    return traces


def _ways(
    one: MapTrajectories,
    colours: style.Theme,
    at: Callable[[int, int], tuple[float, float]],
    *,
    width: float | int = 1.6,
    opacity: float | int = 0.8,
) -> Iterator[go.Scatter]:
    """Draw lines in the colour of the true class: solid while right, dotted when fooled.

    `at(k, n)` says where image n stands at budget k.
    """
    labels, success = one.labels.tolist(), one.success.tolist()
    for label in sorted(set(labels)):
        name = style.quote(one.class_names[label])
        for fooled in (False, True):
            x, y = [], []
            for n, own in enumerate(labels):
                # The steps of one fate follow one another: a fooled image is fooled for good.
                steps = [k for k in range(1, len(success)) if success[k][n] == fooled]
                if own != label or not steps:
                    continue
                for k in (steps[0] - 1, *steps):
                    along, up = at(k, n)
                    x.append(panels.short(along))
                    y.append(panels.short(up))
                x.append(None)
                y.append(None)
            if not x:
                continue
            yield go.Scatter(
                x=x,
                y=y,
                name=f"{name}, {'fooled' if fooled else 'right'}",
                mode="lines",
                line={"color": style.at(colours.classes, label), "width": width}
                | {"dash": "dot" if fooled else "solid"},
                opacity=opacity,
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            )


def _points(one: MapTrajectories, colours: style.Theme, shown: list[bool]) -> Iterator[go.Scatter]:
    """Draw the beginning, the end and what lies between, of all images of a class at once."""
    labels, last = one.labels.tolist(), len(one.epsilons) - 1
    places, predictions = one.positions.tolist(), one.predictions.tolist()
    words = _words(one, shown)
    for label in sorted(set(labels)):
        name = style.quote(one.class_names[label])
        rows = [n for n, own in enumerate(labels) if own == label]
        x, y, text, symbols, sizes, tints, widths = [], [], [], [], [], [], []
        # Budget by budget, so that the first of them, whose look the legend takes, is a beginning.
        for k in range(last + 1):
            for n in rows:
                seen = predictions[k][n] if k == last and last else label
                symbol = style.at(style.CLASS_SYMBOLS, seen)
                ends = k in (0, last)
                x.append(panels.short(places[k][n][0]))
                y.append(panels.short(places[k][n][1]))
                text.append(words[k][n])
                symbols.append(
                    f"{symbol}-open" if k == last and last else symbol if ends else "circle"
                )
                sizes.append(9 if ends else round(2.5 + 2.5 * k / last, 2))
                tints.append(style.at(colours.classes, seen))
                widths.append(2 if k == last and last else 0)
        yield go.Scatter(
            x=x,
            y=y,
            text=text,
            name=name,
            mode="markers",
            marker={"symbol": symbols, "size": sizes, "color": tints, "opacity": 1}
            | {"line": {"width": widths, "color": tints}},
            legendgroup=name,
            hovertemplate="%{text}<extra></extra>",
        )
    for name, look in (
        ("class seen at the largest budget", {"symbol": "circle-open", "size": 9}),
        (_AFTER, None),
    ):
        if (look is None and not bool(one.success[1:].any())) or not last:
            continue
        line = {"color": colours.text, "width": 2, "dash": "dot"}
        yield go.Scatter(
            x=[None],
            y=[None],
            name=name,
            mode="markers" if look else "lines",
            marker=look and look | {"color": colours.text, "line": {"width": 2}},
            line=None if look else line,
            legendgroup=name,
            hoverinfo="skip",
        )


def _words(one: MapTrajectories, shown: list[bool]) -> list[list[str]]:
    """Say of each budget and image what one sees there, after its picture if it has one."""
    names = [style.quote(name) for name in one.class_names]
    labels, count = one.labels.tolist(), len(one.labels)
    drawn = panels.texts(None if one.images is None else one.images.flatten(0, 1), shown)
    predictions, success = one.predictions.tolist(), one.success.tolist()
    moved, words = one.moved.tolist(), []
    for k, epsilon in enumerate(one.epsilons.tolist()):
        words.append([])
        for n, label in enumerate(labels):
            seen = predictions[k][n]
            fate = f"<br>taken for {names[seen]}" if seen != label else ""
            if seen == label and success[k][n]:
                fate = "<br>right again; a smaller budget fooled it"
            words[k].append(
                f"{drawn[k * count + n]}image {n}: {names[label]}<br>epsilon {epsilon:.3g}{fate}"
                f"<br>moved {moved[k][n]:.3g} in feature space"
            )
    return words


def _true_ways(one: MapTrajectories, colours: style.Theme) -> Iterator[go.Scatter]:
    """Draw how far each feature has moved, and the median."""
    epsilons = [float(f"{epsilon:.6g}") for epsilon in one.epsilons.tolist()]
    moved = one.moved.tolist()
    at = lambda k, n: (epsilons[k], moved[k][n])  # noqa: E731
    yield from _ways(one, colours, at, width=1, opacity=0.5)
    medians, fooled, count = one.median_moved.tolist(), one.fooled.tolist(), len(one.labels)
    yield go.Scatter(
        x=epsilons,
        y=[panels.short(median) for median in medians],
        text=[
            f"epsilon {epsilon:.3g}<br>{fooled[k]} of {count} fooled<br>moved {medians[k]:.3g} in "
            "feature space, median"
            for k, epsilon in enumerate(epsilons)
        ],
        name=_MEDIAN,
        mode="lines+markers",
        line={"color": colours.text, "width": 3},
        marker={"size": 5, "color": colours.text},
        legendgroup=_MEDIAN,
        hovertemplate="%{text}<extra></extra>",
    )


# --- words ----------------------------------------------------------------------------------------


def _measures(one: MapTrajectories) -> list[str]:
    """Say over a map how many images are fooled, and how far features move in truth."""
    count, fooled = len(one.labels), one.fooled.tolist()
    low, high = (f"{one.epsilons[place].item():.3g}" for place in (0, -1))
    lines = [f"fooled: {fooled[0]} of {count} at {low}, {fooled[-1]} at {high}"]
    lines.append(f"then moved {one.median_moved[-1].item():.3g} in feature space (median)")
    if (remote := one.remoteness[-1]) is not None:
        lines.append(f"{remote:.1f} times as isolated as the map's points")
    return lines


def _subtitle(named: dict[str, MapTrajectories], total: int, pictures: int) -> str:
    """Say what the map distorts, and which pictures there are."""
    sentences = list(dict.fromkeys(style.quote(one.map.note) for one in named.values()))
    if 0 < pictures < total and any(one.images is not None for one in named.values()):
        sentences.append(f"Pictures: {pictures} of {total} points.")
    return " ".join(sentences)


def _sentence(named: dict[str, MapTrajectories]) -> str:
    """Say in one sentence what the figure shows."""
    parts = []
    for name, one in named.items():
        fooled = one.fooled.tolist()
        low, high = (one.epsilons[place].item() for place in (0, -1))
        part = (
            f"{style.quote(name) or 'the model'} ({panels.METHOD_NAMES[one.map.method]}): of "
            f"{len(one.labels)} images {fooled[0]} are fooled at epsilon {low:.3g} and "
            f"{fooled[-1]} at {high:.3g}, where the median feature has moved "
            f"{one.median_moved[-1].item():.3g} in feature space"
        )
        if (remote := one.remoteness[-1]) is not None:
            part += f" and lies {remote:.1f} times as far from the map's features as these apart"
        parts.append(part)
    return "Ways through a map as the budget grows: " + "; ".join(parts) + "."
