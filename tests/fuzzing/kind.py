"""What a format is to the fuzzer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzzing.mutating import BYTES, Mutator


@dataclass(frozen=True)
class Format:
    """A kind of file that a stranger may hand us.

    Attributes
    ----------
    name : str
        Of its folder in the corpus.
    seeds : callable
        Gives sound files. It may be asked often, so it keeps what takes time.
    read : callable
        `read(data, folder)` writes the file into an empty folder and has it read; it raises a
        `ValueError` where the file is refused, and asserts of what was read that it is right.
    mutators : tuple of callable
        How files are changed.
    cases : int
        How many are tried in every run of the tests, by what one costs.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    mutators: tuple[Mutator, ...] = BYTES
    cases: int = 300
