"""Takes the steps of ``auth_flow``: by an async client with a credential, by a sync one with one of ``linkauth.blocking``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from linkauth.auth_flow import Ask, Read, Send, signed
from linkauth.engine.credential import Credential
from linkauth.errors import ConfigurationError, LinkAuthError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from linkauth.auth_flow import Steps
    from linkauth.blocking import Credential as BlockingCredential

__all__ = ["Signing", "for_one_header", "of_vendor"]


C = TypeVar("C", bound="Credential | BlockingCredential")


def for_one_header(credential: C, client: str) -> C:
    """``credential``, whose token goes in ``Authorization``: the one header that ``client`` takes off at a foreign redirect.

    Raises ``ConfigurationError`` for any other.
    """
    vendor = credential.vendor
    if vendor.header.lower() != "authorization":
        raise ConfigurationError(
            f"{vendor.name}: {client} would take {vendor.header} to other origins; linkauth.{client}.client does not"
        )
    return credential


def of_vendor(credential: Credential, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A client's arguments, with the vendor's base URL. Raises ``ConfigurationError`` for an ``auth`` among them."""
    if "auth" in kwargs:
        raise ConfigurationError("client: its auth is the credential; a single request may have another")
    return {"base_url": f"{credential.vendor.api(None)}/", **kwargs}


class Signing:
    """The two methods of an httpx ``Auth`` for one credential."""

    def __init__(self, credential: Credential | BlockingCredential) -> None:
        self._credential = credential

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self._credential!r}>"

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """For an ``AsyncClient``. Raises ``ConfigurationError`` for a credential of ``linkauth.blocking``."""
        if not isinstance(self._credential, Credential):
            raise ConfigurationError(
                "an AsyncClient needs a credential of linkauth.AuthEngine, for this one would block"
            )
        steps = signed(self._credential, request)
        step: Ask | Read | Send | None = next(steps)
        while step is not None:
            match step:
                case Ask(call):
                    try:
                        found = await call()
                    except LinkAuthError as error:
                        step = _after(steps, error)
                        continue
                case Read(response):
                    found = await response.aread()
                case Send(hop):
                    found = yield hop
            step = _after(steps, found)

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """For a ``Client``. Raises ``ConfigurationError`` for a credential that is to be awaited."""
        if isinstance(self._credential, Credential):
            raise ConfigurationError("a sync client needs a credential of linkauth.blocking.AuthEngine")
        steps = signed(self._credential.awaitable, request)
        step: Ask | Read | Send | None = next(steps)
        while step is not None:
            match step:
                case Ask(call):
                    try:
                        found = self._credential.run(call)
                    except LinkAuthError as error:
                        step = _after(steps, error)
                        continue
                case Read(response):
                    found = response.read()
                case Send(hop):
                    found = yield hop
            step = _after(steps, found)


def _after(steps: Steps, found: Any) -> Ask | Read | Send | None:
    """The step that follows on ``found``, which an error interrupts; None: there is none."""
    try:
        return steps.throw(found) if isinstance(found, LinkAuthError) else steps.send(found)
    except StopIteration:
        return None
