"""The commands of `mmc-viz`, one module each; `mmc_viz.__main__` joins them."""
