"""First calls at LinkXG: products and connections (docs.linkxg.com, "Quick start")."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  # cattrs reads annotations
from datetime import date, datetime  # noqa: TC003  # as above
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from linkauth.clients import fields
from linkauth.clients.call import call, refuse, segment
from linkauth.clients.pager import Page, stream
from linkauth.errors import MalformedResponse
from linkauth.oauth import wire
from linkauth.vendors.linkxg import CODES, granted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import aiohttp

__all__ = [
    "Attribute",
    "Certification",
    "Connection",
    "Limit",
    "LinkXGClient",
    "Product",
    "ProductDetail",
    "ProductVersion",
    "Tier",
    "Usage",
]

VENDOR: Final = "linkxg"
PAGE_SIZE: Final = 50
"""Products a page, as in the vendor's own example; its largest is not documented."""

T = TypeVar("T")


# LinkXG's pages show answers, not a schema: only what tells one thing from another is required here.


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Product:
    """A product as lists show it. ``extra``: members that LinkXG's page does not name."""

    id: str
    """LinkXG's id of it, which ``product`` takes."""
    sku: str
    """The owner's own number for it."""
    name: str
    """Its name for people."""
    category: str | None = None
    """Such as ``products(category)`` takes; None: LinkXG did not say."""
    status: str | None = None
    """In LinkXG's word; None: LinkXG did not say."""
    created_at: datetime | None = None
    """When it was made, with its time zone; None: LinkXG did not say."""
    updated_at: datetime | None = None
    """When it was last changed; None: LinkXG did not say."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Attribute:
    """One property of a product: a number, with its unit where it has one, or words."""

    family: str | None = None
    """The group that it belongs to; None: LinkXG did not say."""
    name: str
    """What is described."""
    value: str | float
    """How much of it, or what."""
    unit: str | None = None
    """Of a number; None: it has none."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Certification:
    """A certificate that a product holds, and the last day on which it does."""

    name: str
    """What it is called."""
    valid_until: date | None = None
    """The last day on which it holds; None: LinkXG did not say."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class ProductVersion:
    """A product's published version."""

    number: int
    """Which it is."""
    published_at: datetime | None = None
    """When it was published; None: LinkXG did not say."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class ProductDetail(Product):
    """A product with all that LinkXG knows of it."""

    description: str | None = None
    """For people; None: LinkXG did not say."""
    attributes: tuple[Attribute, ...] = ()
    """Its properties; empty: LinkXG named none."""
    certifications: tuple[Certification, ...] = ()
    """Its certificates; empty: LinkXG named none."""
    version: ProductVersion | None = None
    """The published one; None: LinkXG named none."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Connection:
    """A company that shares its products with yours. LinkXG does not document its fields: all are in ``extra``."""

    id: str
    """LinkXG's id of it, which ``connection_products`` takes."""
    extra: Mapping[str, Any] = fields.extra()
    """All other members, under LinkXG's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Tier:
    """A subscription: its ``code``, such as ``"CORE"``, and its name for people."""

    code: str
    """LinkXG's word for it, such as ``"CORE"``."""
    name: str | None = None
    """For people; None: LinkXG did not say."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Limit:
    """How much is used of what a subscription allows. ``limit``: None where there is none (``unlimited``).

    ``resets_at``: when a limit that counts requests begins anew.
    """

    current: int
    """How much is used by now."""
    limit: int | None = None
    """How much is allowed; None: there is no limit, or LinkXG did not say."""
    unlimited: bool | None = None
    """Whether there is no limit; None: LinkXG did not say."""
    resets_at: datetime | None = None
    """When the count begins anew; None: LinkXG did not say, as where nothing is counted over time."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class Usage:
    """What a subscription allows and how much of it is used (docs.linkxg.com, "Rate limits").

    ``limits``: by name, such as ``"MAX_ACTIVE_PRODUCTS"``; ``rate_limits``: such as ``"API_REQUESTS_DAY"``; ``warnings``: as
    LinkXG sent them, whose shape it does not document.
    """

    tier: Tier
    """The subscription."""
    limits: Mapping[str, Limit] = attrs.field(factory=dict[str, Limit])
    """By LinkXG's name, such as ``"MAX_ACTIVE_PRODUCTS"``."""
    rate_limits: Mapping[str, Limit] = attrs.field(factory=dict[str, Limit])
    """By LinkXG's name, such as ``"API_REQUESTS_DAY"``."""
    warnings: tuple[Any, ...] = ()
    """As LinkXG sent them; empty: none."""
    extra: Mapping[str, Any] = fields.extra()
    """Members of the answer that are not among the fields here, under the vendor's names."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class _Pagination:
    page: int
    total_pages: int


@attrs.frozen(kw_only=True)
class _Listing(Generic[T]):
    data: tuple[T, ...]
    pagination: _Pagination | None = None


@attrs.frozen(kw_only=True)
class _Single(Generic[T]):
    data: T


# cattrs before 26.1 cannot for a generic class.
attrs.resolve_types(_Listing)
attrs.resolve_types(_Single)


class LinkXGClient:
    """Calls to LinkXG's API with a credential's session (``credential.session()``).

    Every call raises the ``OAuthError`` that LinkXG names (``RateLimited`` with ``retry_after`` in seconds at 429),
    ``VendorUnavailable`` where it cannot be reached or answers 5xx, ``MalformedResponse`` naming the field where an
    answer is not as documented, and what the credential raises. The middleware has by then renewed and repeated once
    at a 401.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def products(self, category: str | None = None, *, page_size: int = PAGE_SIZE) -> AsyncGenerator[Product, None]:
        """Every product, or those of one ``category``. Scope: ``products:read``.

        Fetches page after page, the next while the current one is consumed. ``page_size``: products a request.
        """
        params = {"category": category} if category is not None else {}
        return self._list("products", Product, params, page_size)

    async def product(self, id: str) -> ProductDetail:  # noqa: A002  # the vendor's own name for it
        """One product in full. Scope: ``products:read``."""
        what = f"{VENDOR}'s product"
        return await self._one(f"products/{segment(id, 'product id')}", ProductDetail, what)

    def connections(self, *, page_size: int = PAGE_SIZE) -> AsyncGenerator[Connection, None]:
        """Every connection. Scope: ``connections:read``. Read as ``products`` is, should it come in pages."""
        return self._list("connections", Connection, {}, page_size)

    def connection_products(self, id: str, *, page_size: int = PAGE_SIZE) -> AsyncGenerator[Product, None]:  # noqa: A002
        """Every product that the connection ``id`` shares. Scope: ``connections:read``."""
        return self._list(f"connections/{segment(id, 'connection id')}/products", Product, {}, page_size)

    async def usage(self) -> Usage:
        """What the subscription allows, and how much of it is used by now."""
        return await self._one("entitlements/usage", Usage, f"{VENDOR}'s usage")

    async def _one(self, url: str, kind: type[T], what: str) -> T:
        single: _Single[T] = wire.structure(await self._get(url, what), _Single[kind], what)  # type: ignore[valid-type]
        return single.data

    def _list(self, url: str, kind: type[T], params: Mapping[str, str], size: int) -> AsyncGenerator[T, None]:
        what = f"{VENDOR}'s {url}"

        async def fetch(number: int) -> Page[Any]:
            asked = {**params, "page": str(number), "pageSize": str(size)}
            body = await self._get(url, what, asked)
            listing: _Listing[Any] = wire.structure(body, _Listing[kind], what)  # type: ignore[valid-type]
            return _page(listing, number, what)

        return stream(fetch, what)

    async def _get(self, url: str, what: str, params: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        answer = await call(self._session, "GET", url, vendor=VENDOR, params=params)
        if not granted(answer.response):
            refuse(answer.response, VENDOR, CODES)
        return wire.members(answer.response.body, what)


def _page(listing: _Listing[Any], number: int, what: str) -> Page[Any]:
    told = listing.pagination
    if told is None:  # not documented for connections: then this is all
        return Page(listing.data, more=False)
    if told.page != number:
        if told.page > told.total_pages or number <= told.total_pages:
            raise MalformedResponse(f"{what}: page {told.page} came where page {number} was asked for")
        return Page((), more=False)  # the list has shrunk, and the vendor gave its last page again
    return Page(listing.data, more=number < told.total_pages)
