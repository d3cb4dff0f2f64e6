"""What vendors are called on pages for people."""

from __future__ import annotations

import pytest

from linkauth.vendors.titles import title


@pytest.mark.parametrize(
    ("name", "told"),
    [("sagex3", "Sage X3"), ("github", "GitHub"), ("slack", "Slack"), ("an-app-of-mine", "an-app-of-mine")],
)
def test_a_title(name: str, told: str) -> None:
    """As it spells itself; with a capital letter, if it is in the catalogue; else as the app has named it."""
    assert title(name) == told
