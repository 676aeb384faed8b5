"""How fast it is, against the floor that the hardware sets.

Machines are noisy, so nothing here trusts a single time. Threads are pinned to one, contestants
take turns in one process, each is warmed up, CPU time is counted where that is possible, and what
is reported is a median and the ratio of medians, with what each round gave: how much the rounds
scatter decides what counts as slower later, see `comparing`. No test measures time; this does.

A topic is a module with one function, `measure() -> list[Measurement]`.
"""

#: Topics of `mmc-viz bench`, in the order in which they run.
TOPICS = (
    *("attacks", "training", "imports", "path", "ui", "features"),
    *("memory", "notebooks", "profile", "worst_case"),
)

#: Shipped models whose images need no network, one of each kind: what attacks are timed on.
SUBJECTS = (
    "digits-mmc",
    "digits-sce",
    "fashion-mmc",
    "fashion-mmc-2d",
    "fashion-mmc-at",
    "fashion-sce",
    "fashion-sce-2d",
    "fashion-sce-at",
)
