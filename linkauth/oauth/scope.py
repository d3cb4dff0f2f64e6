"""Scopes as sets: in what order they come, and how often, means nothing (RFC 6749 §3.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from linkauth.oauth.token import Token

__all__ = ["not_granted"]

_BETWEEN: Final = re.compile(r"[\s,]+")
"""What stands between scopes: a space, or a comma (GitHub, Slack)."""


def not_granted(asked: str, token: Token) -> list[str]:
    """The scopes in ``asked`` that ``token`` does not have, sorted. Where no scope is known, none is said to be missing."""
    granted = set(_BETWEEN.split(token.scope))
    if token.refresh_token:
        granted.add("offline_access")  # that is what it asks for (OpenID Connect Core §11); Microsoft does not list it
    return sorted(set(_BETWEEN.split(asked)) - granted - {""}) if token.scope.strip() else []
