"""LinkXG's API, as docs.linkxg.com describes it: whose token it is, what the subscription allows, and what there is to see.

Errors are enveloped. ``[decided]`` marks what the vendor's pages leave open and the sandbox had to choose.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from uuid import uuid4

import attrs

from linkauth.sandbox import samples
from linkauth.sandbox.part import HEADERS, Endpoint, Registration, Vendor, secret
from linkauth.sandbox.tokens import NotGood, Session
from linkauth.sandbox.wire import BadRequest, Refusal, bearer, integer, json_answer, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiohttp import web

    from linkauth.sandbox.clock import Clock

__all__ = ["TIERS", "Api", "Settings", "Tier"]

DAY: Final = 86_400


@attrs.frozen
class Tier:
    """What a subscription allows (docs.linkxg.com, "Rate limits"); None: unlimited."""

    name: str
    a_minute: int
    a_day: int
    products: int | None
    connections: int | None


TIERS: Final = {
    "SUPPLIER_FREE": Tier("LinkXG Supplier Free", 0, 0, 1_000, 3),
    "SUPPLIER_PLUS": Tier("LinkXG Supplier Plus", 100, 10_000, 5_000, 15),
    "CORE": Tier("LinkXG Core", 500, 50_000, None, None),
    "ENTERPRISE": Tier("LinkXG Enterprise", 2_000, 200_000, None, None),
}


@attrs.define(kw_only=True)
class Settings(Registration):
    """What can be set. Lifetimes in seconds; limits in calls a minute, None for none."""

    client_id: str = "sandbox-linkxg"
    client_secret: str = attrs.field(factory=lambda: secret("linkxg"), repr=False)
    email: str = "ada@example.com"
    password: str = attrs.field(factory=lambda: secret("password"), repr=False)
    token_lifetime: float = 900.0
    user_token_lifetime: float = 900.0
    refresh_lifetime: float = 7 * 86400.0
    token_limit: int | None = 60
    """Per client, on ``/oauth/token``."""
    login_limit: int | None = 10
    """Per IP address, on ``/auth/login``."""
    refresh_limit: int | None = 30
    """Per refresh token, on ``/auth/refresh``."""
    tier: Literal["SUPPLIER_FREE", "SUPPLIER_PLUS", "CORE", "ENTERPRISE"] = "ENTERPRISE"
    """The subscription: how many calls of the API it allows (``TIERS``), and how many products."""
    product_limit: int | None = None
    """Products that may be kept, in the tier's place."""
    replay_window: float = 0.0
    jwt_iat: bool = True
    """Whether a user's access token has an ``iat``."""
    jwt_exp: bool = True
    """Whether a user's access token has an ``exp``."""
    rotated_as: str = "client_secret"
    """Where the rotated secret is in the answer: ``client_secret``, ``clientSecret``, ``secret``, ``data.secret``, …"""
    errors: str = "documented"
    """``flat`` or ``enveloped``: speak that one of the two error shapes everywhere."""


class Api(Vendor[Settings]):
    """The API, and what it has in common with the token side: bearer tokens, rate limits, two shapes of errors."""

    name: ClassVar[str] = "linkxg"
    prefix: ClassVar[str] = "/linkxg/api/v1"

    def __init__(self, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, settings)
        self.products: dict[str, dict[str, Any]] = {each["id"]: each for each in samples.products()}
        """What ``GET /products`` lists, by id."""

    def endpoints(self) -> Iterator[Endpoint]:
        """As documented."""
        yield Endpoint("products", "GET", "/products", self._list_products, api=True)
        yield Endpoint("create_product", "POST", "/products", self._create_product, api=True)
        yield Endpoint("product", "GET", "/products/{id}", self._product, api=True)
        yield Endpoint("connections", "GET", "/connections", self._connections, api=True)
        yield Endpoint("connection_products", "GET", "/connections/{id}/products", self._connection_products, api=True)
        yield Endpoint("usage", "GET", "/entitlements/usage", self._usage, api=True)
        yield Endpoint("nothing", "*", "/{rest:.*}", self._nothing)

    # D. Calls.

    async def _list_products(self, request: web.Request) -> web.Response:
        self._call(request, "products:read")
        category = request.query.get("category")
        return self._page(request, [each for each in self.products.values() if category in {None, each["category"]}])

    async def _product(self, request: web.Request) -> web.Response:
        self._call(request, "products:read")
        identifier = request.match_info["id"]
        found = samples.product(identifier) or self.products.get(identifier)
        if found is None:
            raise self._enveloped(404, "NOT_FOUND", "There is no such product")
        return json_answer({"success": True, "data": found})

    async def _create_product(self, request: web.Request) -> web.Response:
        """[decided] How a product is made is not documented, only the scope for it and what may be wrong."""
        self._call(request, "products:write")
        fields = await self._strings(request, "sku", "name", "category")
        sku, now = fields["sku"], self._iso(self.clock())
        if any(each["sku"] == sku for each in self.products.values()):
            raise self._enveloped(409, "DUPLICATE_SKU", "The SKU is in your portfolio already", {"sku": sku})
        current, limit = len(self.products), self._product_limit()
        if limit is not None and current >= limit:
            details = {"current": current, "limit": limit}
            raise self._enveloped(403, "LIMIT_EXCEEDED", "There are as many products as your plan allows", details)
        made = {"id": str(uuid4()), **fields, "status": "DRAFT", "createdAt": now, "updatedAt": now}
        self.products[made["id"]] = made
        return json_answer({"success": True, "data": made}, 201)

    async def _connections(self, request: web.Request) -> web.Response:
        self._call(request, "connections:read")
        return self._page(request, samples.connections())

    async def _connection_products(self, request: web.Request) -> web.Response:
        self._call(request, "connections:read")
        if request.match_info["id"] not in [each["id"] for each in samples.connections()]:
            raise self._enveloped(404, "NOT_FOUND", "There is no such connection")
        return self._page(request, samples.products()[: samples.SHARED])

    async def _usage(self, request: web.Request) -> web.Response:
        """[decided] Any good token may ask."""
        self._call(request)
        tier = TIERS[self.settings.tier]
        midnight = self._iso(self._midnight())
        day = {"current": self.rates.calls("day"), "limit": tier.a_day, "resetsAt": midnight}
        data: dict[str, Any] = {
            "tier": {"code": self.settings.tier, "name": tier.name},
            "limits": {
                "MAX_ACTIVE_PRODUCTS": _limit(len(self.products), self._product_limit()),
                "MAX_CONNECTIONS": _limit(len(samples.connections()), tier.connections),
            },
            "rateLimits": {"API_REQUESTS_DAY": day},
            "warnings": [],
        }
        return json_answer({"success": True, "data": data})

    async def _nothing(self, request: web.Request) -> web.Response:
        raise self._enveloped(404, "NOT_FOUND", "There is nothing here")

    def _page(self, request: web.Request, rows: Sequence[Mapping[str, Any]]) -> web.Response:
        numbers: dict[str, int] = {}
        for name, default in (("page", 1), ("pageSize", 20)):
            try:
                numbers[name] = integer(request, name, default)
            except BadRequest as error:
                raise self._enveloped(400, "INVALID_FORMAT", str(error), {name: str(error)}) from None
        page, size = numbers.values()
        pages = {**numbers, "totalItems": len(rows), "totalPages": math.ceil(len(rows) / size)}
        return json_answer({"success": True, "data": rows[(page - 1) * size : page * size], "pagination": pages})

    def _product_limit(self) -> int | None:
        own = self.settings.product_limit
        return TIERS[self.settings.tier].products if own is None else own

    # E. Errors, and what all endpoints share.

    def _caller(self, request: web.Request) -> Session:
        """Whose bearer token this is."""
        try:
            return self.tokens.check(bearer(request) or "")
        except NotGood as error:
            raise self._not_good(error) from None

    def _call(self, request: web.Request, scope: str = "") -> None:
        """A call of the API: by somebody, within the subscription. A user's token has no scopes: users may read and write."""
        session = self._caller(request)
        tier = TIERS[self.settings.tier]
        if not tier.a_day:  # [decided] which code a tier without API access meets
            raise self._enveloped(403, "MISSING_CAPABILITY", "Your plan does not include the API")
        # [decided] One subscription, one count, whoever calls; the headers are the minute's unless the day is over.
        self._limited("day", tier.a_day, ends=self._midnight())
        self._limited("minute", tier.a_minute)
        if scope and session.client_id and scope not in session.scope.split():
            raise self._enveloped(403, "INSUFFICIENT_SCOPE", f"The scope {scope} is needed")

    def _midnight(self) -> float:
        return float((self.clock() // DAY + 1) * DAY)

    def _iso(self, when: float) -> str:
        return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _not_good(self, error: NotGood) -> Refusal:
        if error.reason == "expired":
            return self._enveloped(401, "TOKEN_EXPIRED", "The token has expired")
        return self._enveloped(401, "TOKEN_INVALID", "The token is malformed, unknown or revoked")

    async def _strings(self, request: web.Request, *names: str) -> dict[str, str]:
        """Members of a JSON body, all needed and all text; others are passed over."""
        try:
            body = await json_object(request)
        except BadRequest as error:
            raise self._enveloped(400, "INVALID_FORMAT", str(error)) from None
        missing = {name: "is required" for name in names if body.get(name) in (None, "")}
        if missing:
            raise self._enveloped(400, "REQUIRED_FIELD_MISSING", "A required field is missing", missing)
        wrong = {name: "must be a string" for name in names if not isinstance(body[name], str)}
        if wrong:
            raise self._enveloped(422, "VALIDATION_ERROR", "The input failed validation", wrong)
        return {name: str(body[name]) for name in names}

    def _limited(self, key: str, limit: int | None, *, ends: float | None = None, flat: bool = False) -> None:
        """Count a call; whatever its answer will be says what is left."""
        allowed, headers = self.rates.hit(key, limit, ends)
        HEADERS.get().update(headers)
        if not allowed:
            # [decided] The enveloped code is not documented (LIMIT_EXCEEDED is a 403, for a subscription's limits).
            code = "rate_limit_exceeded" if flat else "RATE_LIMIT_EXCEEDED"
            raise (self._flat if flat else self._enveloped)(429, code, "Too many requests")

    def _flat(self, status: int, error: str, description: str) -> Refusal:
        if self.settings.errors == "enveloped":
            return _enveloped(status, error.upper(), description)
        return _flat(status, error, description)

    def _enveloped(self, status: int, code: str, message: str, details: Mapping[str, object] | None = None) -> Refusal:
        if self.settings.errors == "flat":
            return _flat(status, code.lower(), message)
        return _enveloped(status, code, message, details)


def _limit(current: int, limit: int | None) -> dict[str, object]:
    return {"current": current, "limit": limit, "unlimited": limit is None}


def _flat(status: int, error: str, description: str) -> Refusal:
    return Refusal(json_answer({"error": error, "error_description": description}, status))


def _enveloped(status: int, code: str, message: str, details: Mapping[str, object] | None = None) -> Refusal:
    # An empty object where there is nothing to say, as the page shows it.
    error: dict[str, object] = {"code": code, "message": message, "details": dict(details or {})}
    return Refusal(json_answer({"success": False, "error": error}, status))
