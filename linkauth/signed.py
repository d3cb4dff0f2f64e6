"""What was put on a request last: the next one to the same origin with the same token needs nothing to be worked out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from yarl import URL

    from linkauth.oauth.token import Token

__all__ = ["UNSIGNED", "Signed", "signed"]


@attrs.frozen(eq=False)
class Signed:
    """A request to ``scheme`` and ``authority`` (host and port as they stand in its URL) has ``value`` in its ``header``."""

    token: Token | None
    """Whose ``value`` it is; None: nobody's."""
    header: str = ""
    value: str = attrs.field(default="", repr=False)
    scheme: str = ""
    authority: str = ""


UNSIGNED: Final = Signed(None)


def signed(url: URL, token: Token, header: str, value: str) -> Signed:
    """Of a request to ``url``. Where a user's name and password stand in it, which aiohttp takes out, nothing is kept."""
    if "@" in url.raw_authority:
        return UNSIGNED
    return Signed(token, header, value, url.scheme, url.raw_authority)
