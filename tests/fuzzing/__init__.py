"""Damaged files for every format that a stranger may hand us: each is read rightly or refused.

A case is a sound file, changed one to three times by a generator that knows the name of the format
and the number of the case alone, so it can be repeated anywhere. Reading it may end in two ways:
what was read is what the file says, or a `ValueError` of one line says why not. All else is a
finding: another exception, a crash, a hang, memory beyond bounds, numbers that are not the file's.

    *_files    what is read, and what has to hold of it, a module for each kind of file
    formats    all of these, by name
    kind       what a format is
    mutating   how a file is changed
    running    how cases are judged, and thousands of them run: `make fuzz`

Findings are kept in `tests/corpus/FORMAT/`, and every run of the tests tries them again.
"""
