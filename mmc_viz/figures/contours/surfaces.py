"""What an attack sees about an image, and the way it takes."""

from typing import Any

import plotly.graph_objects as go

from mmc_viz.contours import InputSurface
from mmc_viz.figures import style
from mmc_viz.figures.contours import surface_words as said
from mmc_viz.figures.contours.surface_panels import panels
from mmc_viz.figures.contours.surface_scenes import scenes


def loss_surface(
    surface: InputSurface | dict[str, InputSurface],
    *,
    objectives: tuple[str, ...] | None = None,
    kind: str = "2d",
    title: str | None = None,
    theme: str = "both",
) -> go.Figure:
    """Draw objectives over a plane of images, with the path of the attack that climbs each.

    Every panel has its own scale, written on its contours: the objectives of two models have no
    common unit. Brighter is higher. The thick line is where the model's decision changes, the
    dotted one the edge of the attacker's budget. Grey is where the cross-entropy's gradient is
    exactly zero. An open circle is the clean image; a path ends in a cross if it fooled the model.

    Parameters
    ----------
    surface : InputSurface or dict[str, InputSurface]
        One, or model name to surface: a column for each model.
    objectives : tuple of str, optional
        A row for each. None: cross-entropy and margin, as far as the surfaces have them; for `3d`
        as many of them as two scenes allow.
    kind : {"2d", "3d"}
        `3d` raises the objective above the plane, in at most two scenes: a page holds only so many.
        There a path runs at the height of its own images, which need not lie on the surface.
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
        If there is no surface, an objective is not on it, there are too many scenes, or the kind or
        theme is unknown.
    """
    colours = style.resolve(theme)
    named = surface if isinstance(surface, dict) else {"": surface}
    if not named:
        raise ValueError("`surface` must hold at least one surface; got none.")
    if kind not in ("2d", "3d"):
        raise ValueError(f"`kind` must be '2d' or '3d'; got {kind!r}.")
    chosen = _objectives(objectives, named, kind)
    if kind == "3d" and len(chosen) * len(named) > 2:
        raise ValueError(
            f"`objectives` times models must be at most 2 scenes in 3-D; got {len(chosen)} times "
            f"{len(named)}. Choose fewer, or draw them with kind='2d'."
        )
    figure = (panels if kind == "2d" else scenes)(named, chosen, colours)
    figure.update_layout(
        style.layout(
            colours,
            title=title or _title(named),
            subtitle=_subtitle(named, chosen),
            height=_height(kind, len(chosen), len(named)),
        ),
        legend=style.legend_below(),
    )
    figure.layout.margin.t += 30
    figure.layout.margin.b = 150 if kind == "2d" else 90
    figure.layout.height += figure.layout.margin.b
    figure.layout.margin.l = 85 if kind == "2d" else 10
    figure.layout.margin.r = 25 if kind == "2d" else 10
    figure.update_annotations(font={"size": style.TEXT_SIZE + 1, "color": colours.text})
    return style.describe(figure, _sentence(named, chosen))


def _objectives(
    objectives: tuple[str, ...] | None, named: dict[str, InputSurface], kind: str
) -> list[str]:
    has = [name for name in next(iter(named.values())).values]
    if objectives is None:
        usual = [name for name in ("cross_entropy", "margin") if name in has] or has
        return usual[: max(1, 2 // len(named))] if kind == "3d" else usual
    for objective in objectives:
        for one in named.values():
            if objective not in one.values:
                raise ValueError(
                    f"`objectives` must be among {', '.join(one.values)}; got {objective!r}."
                )
    if not objectives:
        raise ValueError("`objectives` must name at least one; got none.")
    return list(objectives)


def _height(kind: str, rows: int, columns: int) -> int:
    if kind == "3d":
        return 520 if rows * columns == 1 else 400
    return rows * (560 if columns == 1 else 330)


def _title(named: dict[str, InputSurface]) -> str:
    one = next(iter(named.values()))
    return (
        f"What an attack sees about an image of class “{style.quote(one.class_names[one.label])}”"
    )


def _subtitle(named: dict[str, InputSurface], chosen: list[str]) -> str:
    parts = []
    if "cross_entropy" in chosen:
        shares = _and(named, lambda one: style.percent(one.flat_share))
        parts.append(f"Cross-entropy has exactly no gradient on {shares} of these images")
    first = next(iter(named.values()))
    parts.append(
        f"Budget {first.eps:.4g} in {first.norm}; pixels outside 0..1 clamped "
        f"({_and(named, lambda one: style.percent(one.clamped_share))} of all)"
    )
    return ". ".join(parts)


def _and(named: dict[str, InputSurface], say: Any) -> str:
    found = {name: say(one) for name, one in named.items()}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return " and ".join(f"{text} ({style.quote(name)})" for name, text in found.items())


def _sentence(named: dict[str, InputSurface], chosen: list[str]) -> str:
    parts = []
    for name, one in named.items():
        fates = []
        for objective in chosen:
            path = one.paths[objective]
            fate = "never moves" if path.stands_still else "fails"
            if path.first_fooled is not None:
                fate = f"fools it at step {path.first_fooled}"
            fates.append(f"the attack on {said.word(objective)} {fate}")
        parts.append(
            f"{style.quote(name) or 'The model'} errs on {style.percent(one.wrong_share)} of the "
            f"plane of images about one of class {style.quote(one.class_names[one.label])}; "
            f"{', '.join(fates)}"
        )
    return ". ".join([*parts, _subtitle(named, chosen)]) + "."
