"""How fast it is, against the floor that the hardware sets.

Machines are noisy. So where two are compared, threads are pinned to one, contestants take turns in
one process (`timing`), each is warmed up, CPU time is counted where that is possible, and what is
reported is the ratio of medians, with what each round gave: how much the rounds scatter decides
what counts as slower later (`comparing`). What takes too long to be repeated, such as all
notebooks, is measured once, and counts as slower only where the difference is large. No test
measures time; this does.

A topic is a module with a function `measure() -> list[Measurement]`. The others are what they
measure with: `libraries` the rivals, `passes` the images that an attack pays for, `processes` fresh
ones and their memory, `first_picture` a part of `profile`, `machine` where it was measured.
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
