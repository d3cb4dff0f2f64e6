"""Roots of URLs that are believed when a vendor names one: letter by letter, or with a star for the one first label."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from linkauth.errors import ConfigurationError
from linkauth.oauth.url import base_url, is_named, origin

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST", "is_believed", "may_lead_to", "root"]

LONGEST: Final = 300
"""Characters of a root that somebody names."""

STAR: Final = "://*."
LABEL: Final = "star"
"""Stands for the star where a URL is read."""

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def root(text: str, *, star: bool) -> str:
    """``text`` in its one spelling: a root URL, whose first label may be a star where ``star`` says so.

    Raises ``ConfigurationError`` for anything else, and for a star below what anybody can register.
    """
    if "*" not in str(text):
        return str(base_url(text))
    spelt = base_url(text.replace("://*.", f"://{LABEL}.", 1))
    host = origin(spelt)[1]
    if not star or "*" in spelt or host.count(".") < 2 or not is_named(host):
        raise ConfigurationError(
            "URL: a star stands for the whole first label of a host below a domain of the vendor's own, and no secret goes by it"
        )
    return spelt.replace(f"://{LABEL}.", STAR, 1)


def is_believed(named: object, roots: Iterable[str]) -> bool:
    """Whether ``named`` is one of ``roots``. What needs interpreting is not."""
    if not isinstance(named, str) or len(named) > LONGEST:
        return False
    try:
        spelt = str(base_url(named))
    except ConfigurationError:
        return False
    return any(spelt == one or _fits(spelt, one) for one in roots)


def _fits(spelt: str, one: str) -> bool:
    if STAR not in one:
        return False
    before, after = one.split(STAR)
    label = spelt.removeprefix(f"{before}://").removesuffix(f".{after}")
    return spelt == f"{before}://{label}.{after}" and _LABEL.fullmatch(label) is not None


def may_lead_to(where: tuple[str, str, int], roots: Iterable[str]) -> bool:
    """Whether one of ``roots`` is at the origin ``where``."""
    return any(where == origin(_at(one, where[1])) for one in roots)


def _at(one: str, host: str) -> str:
    """``one`` with the first label of ``host`` in its star's place."""
    label = host.partition(".")[0]
    return one.replace(STAR, f"://{label}." if _LABEL.fullmatch(label) else f"://{LABEL}.", 1)
