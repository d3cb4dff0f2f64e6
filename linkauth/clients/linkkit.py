"""First calls at Linkkit: links (the vendor's OpenAPI description, ``GET /v1/links``)."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # cattrs reads annotations
from datetime import datetime  # noqa: TC003  # as above
from typing import TYPE_CHECKING, Any, Final

import attrs

from linkauth.clients import fields
from linkauth.clients.call import get
from linkauth.clients.pager import Page, stream
from linkauth.errors import ConfigurationError
from linkauth.oauth import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

__all__ = ["Link", "LinkkitClient"]

VENDOR: Final = "linkkit"
LARGEST_PAGE: Final = 100
"""Links a page, the vendor's maximum."""


@wire.answer()
@attrs.frozen(kw_only=True)
class Link:
    """A short link. ``extra``: members that Linkkit's description does not name.

    The description requires none of the fields; without ``id``, ``short_code`` and ``original_url`` there is no link.
    """

    id: str
    """Linkkit's id of it."""
    short_code: str
    """Linkkit's short name for it, which the short URL ends with."""
    original_url: str
    """Where it leads."""
    title: str | None = None
    """Its title; None: Linkkit named none."""
    custom_domain: str | None = None
    """The domain of one's own that it is under; None: Linkkit named none."""
    is_active: bool | None = None
    """Whether it is switched on; None: Linkkit did not say."""
    expire_at: datetime | None = None
    """When it expires; None: Linkkit named no time."""
    notes: str | None = None
    """What its owner wrote about it; None: nothing came."""
    list_id: str | None = None
    """The UUID of the list that it is in; None: none was named."""
    created_at: datetime | None = None
    """When it was made, with its time zone; None: Linkkit did not say."""
    updated_at: datetime | None = None
    """When it was last changed; None: Linkkit did not say."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@attrs.frozen(kw_only=True)
class _Meta:
    limit: int | None = None
    total: int | None = None


@attrs.frozen(kw_only=True)
class _Links:
    data: tuple[Link, ...]
    meta: _Meta = _Meta()


class LinkkitClient:
    """Calls to Linkkit's API with a credential's session (``credential.session()``).

    Every call raises an ``OAuthError`` where Linkkit refuses (``InvalidToken`` at 401, ``RateLimited`` with
    ``retry_after`` in seconds at 429), ``VendorUnavailable`` where it cannot be reached or answers 5xx,
    ``MalformedResponse`` naming the field where an answer is not as documented, and what the credential raises.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def links(
        self,
        *,
        search: str | None = None,
        list_id: str | None = None,
        is_active: bool | None = None,
        limit: int = LARGEST_PAGE,
        **filters: str | float | None,
    ) -> AsyncGenerator[Link, None]:
        """Every link that the filters let through, the newest first.

        ``search``: part of the URL or title; ``list_id``: a list's UUID; ``limit``: links a request, 1 to 100. Other
        ``filters`` are passed on as they are; None is left out. Fetches page after page, the next while the current
        one is consumed. Raises ``ConfigurationError`` for another ``limit`` and for ``page``, which is counted here.
        """
        if not 1 <= limit <= LARGEST_PAGE:
            raise ConfigurationError(f"limit is not between 1 and {LARGEST_PAGE}")
        if "page" in filters:
            raise ConfigurationError("links() counts the pages itself: leave out page")
        given = {"search": search, "list_id": list_id, "is_active": is_active, **filters}
        params = {name: _text(value) for name, value in given.items() if value is not None}
        what = f"{VENDOR}'s links"

        async def fetch(number: int) -> Page[Link]:
            asked = {**params, "page": str(number), "limit": str(limit)}
            answer = await get(self._session, "v1/links", vendor=VENDOR, params=asked)
            links = wire.structure(wire.members(answer.response.body, what), _Links, what)
            # The vendor may give fewer a page than it was asked for: what it says it gave is what counts.
            size = links.meta.limit or limit
            total = links.meta.total
            more = len(links.data) >= size if total is None else number * size < total
            return Page(links.data, more=more)

        return stream(fetch, what)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
