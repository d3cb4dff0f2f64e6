"""Where people work together: chat, code, documents, plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["WORK"]

WORK: Final[Mapping[str, Entry]] = {
    "slack": entry(
        "https://docs.slack.dev/authentication/using-token-rotation",
        "2026-11-30",
        token_url="https://slack.com/api/oauth.v2.access",
        authorize_url="https://slack.com/oauth/v2/authorize",
    ),
}
