"""The commands of `mmc-viz`, one module each, and the parts that they are made of.

`mmc_viz.__main__` lists the commands and joins them. `arguments` holds what several share.
`resuming` and `training_run` are parts of `train`; `methods` (what can be asked for), `verdicts`
(how it is judged), `chunks` (in which order, and what is kept), `subjects` (of whom), `accuracies`
and `comparisons` (what is told of it) are parts of `evaluate`, and with `measures` and `readme` of
`results`.
"""
