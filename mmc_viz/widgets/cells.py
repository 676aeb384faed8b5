"""Which cell of a notebook runs now."""

from dataclasses import dataclass

from IPython import get_ipython


@dataclass(frozen=True)
class Cell:
    """One run of one cell.

    Attributes
    ----------
    name : str
        The cell's id in its notebook.
    request : str
        Tells its runs apart.
    """

    name: str
    request: str

    def follows(self, other: "Cell | None") -> bool:
        """Whether this is a later run of the same cell."""
        return other is not None and other.name == self.name and other.request != self.request


def running_cell() -> Cell | None:
    """Give the cell that runs now; None outside a notebook, or where the host names no cells."""
    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent("shell") if kernel is not None else {}
    name = parent.get("metadata", {}).get("cellId")
    return Cell(name, parent["header"]["msg_id"]) if name else None
