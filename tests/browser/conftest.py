"""What the tests of exported pages share: each lesson's page, made once."""

import pytest

from mmc_viz.export import course, write_site


@pytest.fixture(scope="session")
def page_of(executed, tmp_path_factory):
    """Give the exported page of a notebook; it is run and written once for all tests."""
    folder = tmp_path_factory.mktemp("site")
    lessons = {lesson.path.name: lesson for lesson in course()}
    pages = {}

    def call(name):
        if name not in pages:
            (pages[name],) = write_site(
                [lessons[name]], folder, index=False, run=lambda path, **_: executed(path)
            )
        return pages[name]

    return call
