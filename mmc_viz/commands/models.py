"""Coming."""


def add_arguments(parser):
    """Nothing yet."""


def run(arguments):
    """Nothing yet."""
