"""What the sandbox's vendors have in common: settings, counters, tokens, faults and named endpoints."""

from __future__ import annotations

import secrets
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

import attrs
from aiohttp import web

from linkauth.sandbox.faults import Dropped, Fault, Faults
from linkauth.sandbox.rates import RateLimit
from linkauth.sandbox.tokens import Ledger, secret
from linkauth.sandbox.wire import Refusal, no_type_for_nothing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping

    from linkauth.sandbox.clock import Clock

__all__ = ["HEADERS", "Endpoint", "Part", "Registration", "Vendor", "secret"]


@attrs.define(kw_only=True)
class Registration:
    """What every vendor's settings have: the client that is registered there."""

    client_id: str
    client_secret: str = attrs.field(repr=False)


S = TypeVar("S", bound=attrs.AttrsInstance)
R = TypeVar("R", bound=Registration)


@attrs.frozen
class Endpoint:
    """One endpoint: its name in counters and faults, and who answers."""

    name: str
    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.Response]]
    api: bool = False
    """A call with a bearer token: counted as ``api_calls``, hit by faults of ``api``."""
    absolute: bool = False
    """``path`` is not below ``base_url``, but below the origin."""


HEADERS: Final = ContextVar[dict[str, str]]("headers")
"""Where a handler puts headers that the answer to its request is to have, whatever it will be."""


class Part(Generic[S]):
    """One vendor of the sandbox. ``settings`` may be changed at any time; an unknown name is an ``AttributeError``."""

    name: ClassVar[str]
    prefix: ClassVar[str]

    def __init__(self, clock: Clock, settings: S) -> None:
        self.clock = clock
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.faults = Faults()
        self.tokens = Ledger(clock)
        self.rates = RateLimit(clock)
        self.origin = ""
        """``http://127.0.0.1:PORT``, once the sandbox runs."""
        self._key = secrets.token_bytes(32)
        self._at_once: Counter[str] = Counter()

    @property
    def base_url(self) -> str:
        """What the vendor's own base URL is replaced with."""
        return self.origin + self.prefix

    def endpoints(self) -> Iterator[Endpoint]:
        """What the vendor answers at, below ``base_url``."""
        raise NotImplementedError

    def links(self) -> dict[str, str]:
        """What the page of counters should link to, by the link's words."""
        return {}

    def fault(self, endpoint: str = "token", **fields: Any) -> Fault:
        """Let ``endpoint`` fail as the fields of ``Fault`` say; once, unless ``times`` is given."""
        return self.faults.add(Fault(endpoint=endpoint, **fields))

    def hold(self, endpoint: str = "token", **fields: Any) -> Fault:
        """Hold all requests to ``endpoint`` until ``release()`` of what is returned (or the end of its ``with``)."""
        return self.fault(endpoint, **{"times": None, **fields, "hold": True})

    def configure(self, values: Mapping[str, Any]) -> None:
        """Change settings by name. Raises ``ValueError`` for a name that there is not."""
        known = {field.name for field in attrs.fields(type(self.settings))}
        if unknown := values.keys() - known:
            raise ValueError(f"{self.name} has no setting {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self.settings, name, value)

    def reset(self) -> None:
        """Forget counters, faults and rate limits; tokens and settings stay."""
        self.counts.clear()
        self.faults.clear()
        self.rates = RateLimit(self.clock)

    def mount(self, app: web.Application) -> None:
        """Add the endpoints to ``app``."""
        for endpoint in self.endpoints():
            path = endpoint.path if endpoint.absolute else self.prefix + endpoint.path
            app.router.add_route(endpoint.method, path, self._guarded(endpoint))

    def _guarded(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        names = (endpoint.name, "api", "*") if endpoint.api else (endpoint.name, "*")

        async def handle(request: web.Request) -> web.StreamResponse:
            async def act() -> web.Response:
                headers: dict[str, str] = {}
                HEADERS.set(headers)
                try:
                    no_type_for_nothing(request)
                    answer = await endpoint.handler(request)
                except Refusal as refusal:
                    answer = refusal.response
                answer.headers.update(headers)
                return answer

            with self._counted(endpoint):
                try:
                    response = await self.faults.around(names, act)
                except Dropped:
                    return self._drop(request)
            self.counts[f"status_{response.status}"] += 1
            return response

        return handle

    @contextmanager
    def _counted(self, endpoint: Endpoint) -> Generator[None]:
        self.counts["requests"] += 1
        self.counts[f"{endpoint.name}_requests"] += 1
        if endpoint.api:
            self.counts["api_calls"] += 1
        self._at_once[endpoint.name] += 1
        most = f"{endpoint.name}_at_once"
        self.counts[most] = max(self.counts[most], self._at_once[endpoint.name])
        try:
            yield
        finally:
            self._at_once[endpoint.name] -= 1

    def _drop(self, request: web.Request) -> web.StreamResponse:
        self.counts["dropped"] += 1
        if request.transport is not None:
            request.transport.abort()
        return web.Response()  # goes nowhere: the connection is gone


class Vendor(Part[R]):
    """A part with a registered client."""

    @property
    def client_id(self) -> str:
        """The test client's id."""
        return self.settings.client_id

    @property
    def client_secret(self) -> str:
        """The test client's secret."""
        return self.settings.client_secret

    @property
    def registration(self) -> dict[str, Any]:
        """The test client, by the arguments of the vendor's class."""
        return {"client_id": self.client_id, "client_secret": self.client_secret, "base_url": self.base_url}
