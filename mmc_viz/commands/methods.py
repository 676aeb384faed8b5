"""What `--attack` can name: a way to judge images, its settings, and what its numbers mean."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mmc_viz.commands.chunks import Verdicts
from mmc_viz.commands.verdicts import by_ensemble, nearest, transformed, within

DEFAULT_EPS = 8 / 255
#: Options that belong to attacks; None where the caller left one out.
OPTIONS = (
    "objective",
    "eps",
    "norm",
    "steps",
    "restarts",
    "queries",
    "sigma",
    "degrees",
    "translation",
    "budget",
)
#: Attacks that know no other norm than l2.
L2_ALONE = ("cw", "ead", "ddn")
#: What `all` runs differently, so that a few hundred images take minutes.
IN_ALL: dict[str, dict[str, Any]] = {
    "cw": {"search_steps": 4, "steps": 60},
    "ead": {"search_steps": 4, "steps": 60},
    "fmn": {"steps": 60},
    "fab": {"steps": 60, "rivals": 3},
    "spsa": {"samples": 32},
}
#: Sizes of transforms, where none is asked for those of the paper's authors.
SIZES = {"sigma": 0.05, "degrees": 30.0, "translation": 0}

#: Arguments of attacks that are no settings: they are the caller's, or change no result.
_MACHINERY = (
    "model",
    "images",
    "labels",
    "eps",
    "targets",
    "generator",
    "trace",
    "batch_size",
    "progress",
)


@dataclass(frozen=True)
class Method:
    """A way to judge images.

    Attributes
    ----------
    name : str
        As `--attack` gives it.
    kind : {"within", "nearest", "transform", "ensemble"}
        Attacks within a budget, attacks that look for the nearest adversarial image, transforms,
        `worst_case`.
    measures : str
        What its numbers are about, in a few words.
    settings : dict
        Plain values, as results hold them: `norm`, `objective`, `eps` and whatever else there is.
    judge : callable
        From model, images, labels and a seed to verdicts: `correct` and `zero_gradient` for each
        image, and more for some methods.
    attack : callable or None
        The attack itself, all its settings fixed; None for an ensemble.
    """

    name: str
    kind: str
    measures: str
    settings: dict[str, Any]
    judge: Callable[..., Verdicts]
    attack: Callable | None = None


def choose(name: str, options: dict[str, Any]) -> list[Method]:
    """Give the methods that an `--attack` stands for, one or all.

    Parameters
    ----------
    name : str
        Of an attack, a preset, `worst_case` or `all`.
    options : dict
        Value of each of `OPTIONS`, None where the caller gave none.

    Raises
    ------
    ValueError
        If the name is unknown, or an option was given that the attack does not have.
    """
    from mmc_viz.attacks import FIXED_BUDGET, MINIMAL_NORM, PRESETS, TRANSFORMS
    from mmc_viz.objectives import resolve

    attacks = FIXED_BUDGET | MINIMAL_NORM | TRANSFORMS
    if name not in (*attacks, "worst_case", *PRESETS, "all"):
        legal = ", ".join([*attacks, "worst_case", *PRESETS, "all"])
        raise ValueError(f"`--attack` must be one of {legal}; got {name!r}.")
    given = {option: value for option, value in options.items() if value is not None}
    if "objective" in given:
        resolve(given["objective"])
    if name == "worst_case":
        _refuse_foreign(name, given, ["eps", "norm", "budget"])
        return [worst_case_of(given)]
    if name in PRESETS:
        attack = PRESETS[name].attack
        _refuse_foreign(name, given, [] if _moves(attack) else ["eps"])
        return [method_of(name, attack, given.get("eps", attack.keywords.get("eps", DEFAULT_EPS)))]
    if name != "all":
        _refuse_foreign(name, given, _options_of(attacks[name]))
        return [_attack(name, attacks[name], given)]
    _refuse_foreign(name, given, {o for attack in attacks.values() for o in _options_of(attack)})
    return [_in_all(name, attack, given) for name, attack in attacks.items()]


def _in_all(name: str, attack: Callable, given: dict[str, Any]) -> Method:
    """Give an attack the options that it has, in the company of the others."""
    from mmc_viz.attacks.balls import BALLS
    from mmc_viz.attacks.checks import check_norm

    norm = given.get("norm", "linf")
    check_norm(norm, BALLS)
    settings = {option: given[option] for option in given if option in _options_of(attack)}
    takes = inspect.signature(attack).parameters
    if "norm" in takes:
        settings["norm"] = "l2" if name in L2_ALONE else norm
    settings = {k: v for k, v in IN_ALL.get(name, {}).items() if k in takes} | settings
    return _attack(name, attack, settings, budget_norm=norm)


def _attack(
    name: str, attack: Callable, given: dict[str, Any], *, budget_norm: str | None = None
) -> Method:
    """Fix the settings of an attack."""
    eps = given.get("eps", DEFAULT_EPS)
    settings = {key: value for key, value in given.items() if key != "eps"}
    for size, value in SIZES.items():
        if size in inspect.signature(attack).parameters:
            settings.setdefault(size, value)
    return method_of(name, partial(attack, **settings), eps, budget_norm=budget_norm)


def method_of(
    name: str, attack: Callable, eps: float | int, *, budget_norm: str | None = None
) -> Method:
    """Join an attack to the way in which its kind is judged."""
    settings = _settings(attack)
    if _moves(attack):
        sizes = [f"{key} {settings[key]:g}" for key in SIZES if settings.get(key)]
        judge = partial(transformed, attack)
        return Method(name, "transform", ", ".join(sizes), settings, judge, attack)
    norm = settings["norm"]
    settings["eps"] = eps
    if "eps" in inspect.signature(attack).parameters:
        judge, fixed = partial(within, attack, eps), partial(attack, eps=eps)
        return Method(name, "within", f"within {norm} {eps:.4g}", settings, judge, fixed)
    if budget_norm not in (None, norm):
        settings["budget_norm"] = budget_norm
    judge = partial(nearest, attack, norm, eps, budget_norm or norm)
    return Method(name, "nearest", f"nearest in {norm}", settings, judge, attack)


def worst_case_of(given: dict[str, Any]) -> Method:
    """Give the ensemble with these settings; `eps`, `norm` and `budget` may be left out."""
    from mmc_viz.attacks.balls import BALLS
    from mmc_viz.attacks.checks import check_norm
    from mmc_viz.attacks.published import load_published
    from mmc_viz.evaluation.ensemble import BUDGETS

    settings = {"norm": "linf", "budget": "standard", "eps": DEFAULT_EPS} | given
    check_norm(settings["norm"], BALLS)
    if settings["budget"] not in BUDGETS:
        raise ValueError(
            f"`--budget` must be one of {', '.join(BUDGETS)}; got {settings['budget']!r}."
        )
    if settings["budget"] == "thorough":
        load_published()
    measures = f"within {settings['norm']} {settings['eps']:.4g}"
    return Method("worst_case", "ensemble", measures, settings, partial(by_ensemble, settings))


def _moves(attack: Callable) -> bool:
    """Whether it is a transform, which has sizes in place of a budget."""
    return bool({"sigma", "degrees"} & inspect.signature(attack).parameters.keys())


def _options_of(attack: Callable) -> list[str]:
    """Options that make sense for an attack; what looks for the nearest is held to a budget too."""
    takes = inspect.signature(attack).parameters
    return [o for o in OPTIONS if o in takes or (o == "eps" and not _moves(attack))]


def _refuse_foreign(name: str, given: dict[str, Any], known: Any) -> None:
    foreign = [option for option in given if option not in known]
    if foreign:
        has = ", ".join(f"--{option}" for option in OPTIONS if option in known)
        raise ValueError(
            f"`--{foreign[0]}` is no setting of {name}, which has {has or 'all its settings fixed'}"
            "; leave it out."
        )


def _settings(attack: partial) -> dict[str, Any]:
    """Every setting that has a plain value, norm and objective first."""
    defaults = {n: p.default for n, p in inspect.signature(attack).parameters.items()}
    values = {
        name: value
        for name, value in (defaults | attack.keywords).items()
        if name not in _MACHINERY and isinstance(value, str | int | float)
    }
    first = {name: values[name] for name in ("norm", "objective") if name in values}
    return first | values
