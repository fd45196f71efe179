"""What holds for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A busy machine must not fail a test: how long an example takes says nothing about whether it is right.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What has run already need not run again."""
    about = "leave out the tests of a file or folder that are not slow; may be repeated"
    parser.addoption("--but-short", action="append", default=[], metavar="PATH", help=about)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave them out, and count them as such. Begin with those that take long: nobody is to wait for one in the end."""
    places = [config.rootpath / path for path in config.getoption("--but-short")]
    left_out = [one for one in items if _is_short(one) and any(one.path.is_relative_to(place) for place in places)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [one for one in items if one not in gone]
    items.sort(key=_takes_long, reverse=True)


def _takes_long(item: pytest.Item) -> bool:
    """Whether it asks for more time than tests have."""
    mark = item.get_closest_marker("timeout")
    return mark is not None and mark.args[0] > float(item.config.getini("timeout"))


def _is_short(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is None
