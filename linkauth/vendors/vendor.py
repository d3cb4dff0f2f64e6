"""What the engine asks of a vendor. All of it is pure: no await, no clock, no socket.

A vendor is a frozen attrs class in a file of its own. It states a few facts and overrides the flows that the vendor
has; every other flow raises ``UnsupportedGrant``. The engine knows no vendor by name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, cast

import attrs

from linkauth.errors import ConfigurationError, UnsupportedGrant, UntrustedEndpoint
from linkauth.oauth.shown import Shown
from linkauth.oauth.token import Secret
from linkauth.oauth.url import base_url, endpoint_url, is_loopback, origin
from linkauth.vendors.signing import signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.exchange import Flow
    from linkauth.oauth.token import Token

__all__ = [
    "KEEPS",
    "ROTATES",
    "Pending",
    "RotationProfile",
    "Vendor",
    "base_url",
    "client_secret",
    "discreet",
    "endpoint_url",
    "flag",
    "is_loopback",
    "optional_base_url",
    "optional_secret",
    "optional_url",
    "origin",
    "plain_name",
    "printable",
    "required",
]


def flag(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: True or False, for ``"no"`` would be taken for True."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} is neither True nor False")


def _seconds(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} is seconds, from 0 up")


@attrs.frozen
class RotationProfile(metaclass=Shown):
    """What a vendor does with a refresh token that was used. It decides whether a lost answer may be retried, and when to renew."""

    rotates: bool = attrs.field(default=False, validator=flag)
    """A refresh token is good for one use."""
    replay_window: float = attrs.field(default=0.0, validator=_seconds)
    """Seconds in which the spent token may be sent again; 0 where unknown.

    Nothing is sent again at its very end, for the vendor must act on it before that: half of the engine's ``timeout`` is
    left, or half of a shorter window.
    """
    reuse_revokes: bool = attrs.field(default=True, validator=flag)
    """Spending it twice ends the session; true where unknown."""
    ends_access: bool = attrs.field(default=False, validator=flag)
    """A renewal ends the access token before it at once (GitHub Apps, GitLab, Zendesk).

    So it is renewed as late as may be, and from that moment on no worker sends it before it has looked for a newer one. What is in
    the air then, or was renewed sooner for another reason, is mended by the one repeat after a 401.
    """


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

KEEPS: Final = RotationProfile()
ROTATES: Final = RotationProfile(rotates=True)


@attrs.frozen(kw_only=True)
class Pending:
    """An authorization that the user has yet to answer, as the store keeps it."""

    redirect_uri: str
    """The one that the authorization request had."""
    scope: str = ""
    """Asked for in place of the vendor object's; empty: that one's."""
    verifier: str | None = attrs.field(default=None, repr=False)
    """The PKCE verifier (RFC 7636 §4.1), where the vendor uses PKCE."""
    nonce: str | None = attrs.field(default=None, repr=False)
    """What the ID Token must repeat (OpenID Connect Core 1.0 §3.1.2.1), where one is asked for."""
    held: Token | None = attrs.field(default=None, repr=False)
    """The live session whose place the answer takes, as it is at the exchange; None: there is none. No store keeps that."""


def discreet(arguments: Mapping[str, Any], name: str = "client_secret") -> dict[str, Any]:
    """A vendor's ``arguments`` with a ``Secret`` for the one called ``name``.

    A function that refuses another argument stands in the traceback with all that it was given.
    """
    secret = {name: optional_secret(arguments[name])} if name in arguments else {}
    return {**arguments, **secret}


class VendorClass(Shown):
    """Makes a secret of ``client_secret``, or what is a class's secret argument, before the constructor sees it."""

    secret_argument: str

    if not TYPE_CHECKING:  # type checkers read the constructor's own signature

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: N805  # a metaclass's
            kwargs = discreet(kwargs, cls.secret_argument)
            return super().__call__(*args, **kwargs)


class Vendor(metaclass=VendorClass):
    """One app's registration at one vendor, and how that vendor speaks.

    Subclasses are frozen attrs classes with ``client_secret: Secret | None`` where the vendor has one. Flows use
    ``self.client_secret``; the engine hands them a vendor that holds the newest one (``with_secret``).
    """

    secret_argument: ClassVar[str] = "client_secret"
    """The constructor's argument that is a secret."""
    name: str
    """What it is called in keys, the log and errors."""
    rotation: RotationProfile = KEEPS
    """What becomes of a used refresh token; unless stated it stays good."""
    needs_user: bool = False
    """Without a stored token only the user can bring one."""
    rotates_secret: ClassVar[bool] = False
    """The vendor can replace the client's secret (``rotate_secret``)."""
    uses_pkce: bool = False
    """An authorization is sent with a PKCE challenge (RFC 7636)."""
    lifetime: float | None = None
    """Seconds that an access token lives, where nobody says; None: unknown."""
    refresh_lifetime: float | None = None
    """Seconds that an unused refresh token lives, where no answer says so; None: unknown, or for ever."""
    refresh_ahead: float | None = None
    """Seconds before expiry at which renewal begins, in place of the engine's; None: the engine's."""
    token_rate: tuple[int, float] | None = None
    """``(requests, seconds)`` that the vendor allows a client at its token endpoint, which the fleet keeps to; None: unknown."""
    check_path: ClassVar[str] = ""
    """A path below ``api`` whose GET tells whether an access token is good, and changes nothing; empty: the vendor has none."""
    pending_lifetime: float = 600.0
    """Seconds for which an authorization's state is good."""

    @property
    def leaves_open(self) -> str:
        """What a logout leaves open at the vendor, in words for people; empty: nothing."""
        revokes = type(self).logout is not Vendor.logout
        return "" if revokes else f"{self.name} has no way to end a session: its tokens stay good until they expire"

    @property
    def posts_callback(self) -> bool:
        """The callback comes by POST, from another site, so without the app's own cookies."""
        return False

    @property
    def open_params(self) -> tuple[str, ...]:
        """Parameters of the vendor's callback that are no secrets: an error may show them, such as an address that it names."""
        return ()

    @property
    def header(self) -> str:
        """The header that carries the token in requests of the vendor's API."""
        return "Authorization"

    @property
    def expired_statuses(self) -> tuple[int, ...]:
        """What that API answers when the token has expired."""
        return (401,)

    def identity(self) -> tuple[str, ...]:
        """What makes this another credential than the next: registration, endpoint, scope. Never a secret."""
        raise NotImplementedError

    def former_identities(self) -> tuple[tuple[str, ...], ...]:
        """The ``identity`` that earlier releases had for this vendor, where it was another: their sessions are found by it."""
        return ()

    def static_token(self) -> Token | None:
        """The token of a vendor that has but one, for ever: it is neither fetched nor renewed nor stored. None: it has a way to one."""
        return None

    def registration(self) -> tuple[str, ...]:
        """What one client secret belongs to: endpoint and client id. Never a secret."""
        raise NotImplementedError

    def with_secret(self, client_secret: Secret) -> Self:
        """This vendor with a newer client secret."""
        return attrs.evolve(self, client_secret=client_secret)  # type: ignore[misc]  # subclasses are attrs classes

    def api(self, token: Token | None) -> str:
        """The URL below which calls are made with ``token``; relative URLs are resolved against it."""
        raise NotImplementedError

    def signature(self, token: Token) -> str:
        """The value of ``header`` in a request that is made with ``token``: with its type in ``Authorization``, alone in another header."""
        return signature(token, self.header, None)

    def may_serve(self, where: tuple[str, str, int]) -> bool:
        """Whether ``api`` may lead to the origin ``where`` (scheme, host, port), whatever token there is.

        Requests to any other origin pass without a look at the token, which may have to be waited for.
        """
        return where == origin(self.api(None))

    def renew(self, current: Token | None) -> Flow[Token]:
        """A new token: by ``current``'s refresh token, or without one where the vendor needs no user."""
        raise UnsupportedGrant(f"{self.name} has no way to renew a token")

    def login(self, email: str, password: Secret) -> Flow[Token]:
        """A token for an e-mail address and a password."""
        raise UnsupportedGrant(f"{self.name} has no login by e-mail and password")

    def authorization_url(self, pending: Pending, *, state: str, challenge: str | None) -> str:
        """Where to send the user (RFC 6749 §4.1.1). ``challenge``: PKCE's S256 challenge (RFC 7636 §4.2)."""
        raise UnsupportedGrant(f"{self.name} has no authorization page")

    def uses_nonce(self, scope: str) -> bool:
        """Whether an authorization for ``scope`` is sent with a nonce."""
        return False

    def exchange(self, params: Mapping[str, str], pending: Pending) -> Flow[Token]:
        """A token for a callback's parameters, whose ``state`` has matched.

        What is wrong with the parameters is raised before the first request is yielded: an ``OAuthError`` where the
        user or the vendor refused (the state is then used up), ``UntrustedEndpoint`` or ``InvalidRequest`` where the
        callback is not one that this vendor sends (the state stays good). ``AuthorizationPending`` may be raised at
        any point and leaves the state good. ``ReauthorizationRequired``: the user has to be asked in another way, and
        what is held stays.
        """
        raise UnsupportedGrant(f"{self.name} has no authorization page")

    def adopted(self, token: Token) -> Token:
        """``token``, of a session that was made elsewhere and comes in now (``issued_at``), as a login would have brought it.

        Its ``access_token`` is empty where the refresh token came alone. Raises ``UntrustedEndpoint`` where a callback that
        names its ``endpoint`` would.
        """
        if token.endpoint is not None:
            raise UntrustedEndpoint(f"{self.name}: its sessions name no endpoint")
        if token.refresh_expires_at is not None or self.refresh_lifetime is None or not token.refresh_token:
            return token
        return attrs.evolve(token, refresh_expires_at=token.issued_at + self.refresh_lifetime)

    def logout(self, token: Token) -> Flow[None]:
        """Revoke ``token`` at the vendor. A vendor that cannot, returns without a request, and says so in ``leaves_open``."""
        yield from ()

    def rotate_secret(self, token: Token) -> Flow[Secret]:
        """A new client secret. Raises ``MalformedResponse`` with ``raw`` where the answer has none that is known."""
        raise UnsupportedGrant(f"{self.name} does not rotate client secrets")


def required(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: a string (or ``Secret``) that is printable and not empty. Its message shows no value."""
    text = value.reveal() if isinstance(value, Secret) else value
    if not isinstance(text, str) or not text.strip():
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} is empty")
    if not text.isprintable():
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} holds unprintable characters")


def plain_name(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: a name that can stand in a path, such as ``"acme"``; of at most 64 characters."""
    required(instance, attribute, value)
    if not _NAME.fullmatch(cast("str", value)):
        kind = type(instance).__name__
        raise ConfigurationError(f"{kind}: name must be made of letters, digits, dots, dashes and underscores")


def printable(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """attrs validator: a printable string, which may be empty."""
    if not isinstance(value, str) or not value.isprintable():
        raise ConfigurationError(f"{type(instance).__name__}: {attribute.name} is not a printable string")


def client_secret(value: str | Secret) -> Secret:
    """attrs converter: ``value`` as a Secret."""
    if isinstance(value, Secret):
        return value
    given = cast("object", value)
    return Secret(given if isinstance(given, str) else "")  # which ``required`` refuses


def optional_secret(value: str | Secret | None) -> Secret | None:
    """attrs converter: ``value`` as a Secret; None stays None."""
    return None if value is None else client_secret(value)


def optional_url(url: str | None) -> str | None:
    """attrs converter: as ``endpoint_url``; None stays None."""
    return None if url is None else endpoint_url(url)


def optional_base_url(url: str | None) -> str | None:
    """attrs converter: as ``base_url``; None stays None."""
    return None if url is None else base_url(url)
