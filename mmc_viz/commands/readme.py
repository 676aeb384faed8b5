"""The place in the README that a command writes."""

from pathlib import Path

from mmc_viz.files import write_whole

BEGIN, END = "<!-- results: written by `mmc-viz results` -->", "<!-- end of results -->"


def check_place(readme: Path) -> None:
    """Refuse a file that has no place for the tables, before the work begins.

    Raises
    ------
    ValueError
        If the two marks do not stand there in this order.
    """
    _split(readme)


def rewrite(readme: Path, text: str) -> None:
    """Put the tables in their place, and leave the rest as it is; all is written or nothing."""
    before, after = _split(readme)
    write_whole(readme, f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _split(readme: Path) -> tuple[str, str]:
    """Give what stands before the tables and after them."""
    text = readme.read_text(encoding="utf-8") if readme.exists() else f"{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The file {readme} has no place for the table: {BEGIN} ... {END}.")
    return before, after
