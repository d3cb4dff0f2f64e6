"""How requests of a vendor's API carry the token: a header, and what stands before the token in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from linkauth.oauth.token import secret_str

if TYPE_CHECKING:
    from linkauth.oauth.token import Token

__all__ = ["FRAMING", "is_header", "is_word", "signature"]

FRAMING: Final = frozenset(
    {
        *("authorization", "connection", "content-encoding", "content-length", "content-type", "expect", "host"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that say who asks, or how a message is carried: nobody's to state."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""The name of a header (RFC 9110 §5.1), and a word such as a scheme."""


def is_word(text: object) -> bool:
    """Whether ``text`` is one word, as the name of a header or of a scheme is."""
    return isinstance(text, str) and _TOKEN.fullmatch(text) is not None


def is_header(name: object) -> bool:
    """Whether ``name`` is a header that can carry a token."""
    return is_word(name) and str(name).lower() not in FRAMING - {"authorization"}


def signature(token: Token, header: str, scheme: str | None) -> str:
    """The value of ``header``. ``scheme``: None is the token's own type in ``Authorization``, and nothing in another header."""
    if scheme is None and header.lower() == "authorization":
        return token.authorization
    return secret_str(f"{scheme} {token.access_token}" if scheme else token.access_token)
