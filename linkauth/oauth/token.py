"""Token and the two ways in which a secret is carried."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping  # noqa: TC003  # cattrs reads the fields' types at run time
from typing import Any, Final, NoReturn, cast

import attrs

from linkauth.oauth.shown import Shown

__all__ = [
    "OMIT",
    "Masked",
    "MaskedStr",
    "Secret",
    "SecretBytes",
    "SecretStr",
    "Token",
    "bare",
    "discreet",
    "masked",
    "secret_bytes",
    "secret_str",
    "secret_str_or_none",
]

MASK: Final = "****"

OMIT: Final = {"omit": True}
"""Metadata of a field that is not written where it has nothing to say, so that a record without it is written as ever."""

_TELLING: Final = re.compile(r"(token|secret|password|assertion|nonce)$", re.IGNORECASE)
"""Names of members that are secrets, such as ``id_token`` and ``clientSecret``; not of ``token_type``."""

_NESTED: Final = (dict, list)


class Secret:
    """A secret that never prints itself: not in ``repr``, ``str``, a format string, a log or a pickle.

    ``reveal()`` is the one way to its value. Equality takes the same time whatever differs.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = SecretStr(value)

    def reveal(self) -> str:
        """The secret itself, a ``SecretStr``. Hand it on at once, keep it nowhere."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "surrogatepass"), other._value.encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: share a store instead")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


class MaskedStr(str):
    """A ``str`` that may hold a secret, such as a vendor's words that repeat what was sent: its ``repr`` is masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{MASK}'"


class SecretStr(MaskedStr):
    """A ``str`` in every use but one: its ``repr`` is masked, and it is not pickled.

    A token's strings are made of it: they go into headers and comparisons like any other ``str``, yet a traceback
    with locals, a container's ``repr`` or a ``%r`` in a log shows nothing.
    """

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token's secrets are not pickled: share a store instead")

    def __copy__(self) -> SecretStr:
        return self

    def __deepcopy__(self, memo: object) -> SecretStr:
        return self


class Masked(dict[str, Any]):
    """A ``dict`` whose ``repr`` shows nothing: an answer or a request in a traceback with locals."""

    def __repr__(self) -> str:
        return "{****}"


class SecretBytes(bytes):
    """``bytes`` whose ``repr`` is masked: a request, an answer or a record on its way, in a traceback with locals.

    Unlike a ``SecretStr`` it may be pickled: a record belongs to a store, which carries it as it likes.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b'{MASK}'"

    def __str__(self) -> str:
        return f"b'{MASK}'"


# An attrs converter, too: mypy accepts module functions there, not classes.
def secret_str(value: str) -> str:
    """``value``, masked in ``repr``."""
    return value if isinstance(value, SecretStr) else SecretStr(value)


def secret_bytes(value: bytes) -> bytes:
    """``value``, masked in ``repr``."""
    return value if isinstance(value, SecretBytes) else SecretBytes(value)


def secret_str_or_none(value: str | None) -> str | None:
    """``value``, masked in ``repr``; None stays None."""
    return None if value is None else secret_str(value)


def _hides(name: object, value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, SecretStr) and _TELLING.search(str(name)) is not None


def discreet(value: Any) -> Any:
    """A vendor's JSON value with all texts masked in ``repr`` whose name says that they are secrets, at any depth."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            name: discreet(each) if isinstance(each, _NESTED) else secret_str(each) if _hides(name, each) else each
            for name, each in members.items()
        }
    return [discreet(each) for each in cast("list[object]", value)] if isinstance(value, list) else value


def masked(value: object) -> Any:
    """A JSON value with all its texts masked in ``repr``: it may repeat what was sent."""
    if isinstance(value, str):
        return value if isinstance(value, MaskedStr) else MaskedStr(value)
    if isinstance(value, dict):
        return Masked((name, masked(part)) for name, part in cast("dict[str, object]", value).items())
    return [masked(part) for part in cast("list[object]", value)] if isinstance(value, list) else value


def bare(value: object) -> Any:
    """``value`` as it was before ``masked``; what is a secret by its name stays masked."""
    if isinstance(value, str):
        return value if isinstance(value, SecretStr) else str(value)
    if isinstance(value, dict):
        return Masked((name, bare(part)) for name, part in cast("dict[str, object]", value).items())
    return [bare(part) for part in cast("list[object]", value)] if isinstance(value, list) else value


def _extra(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", discreet(dict(value))) if value else {}


def _mask_extra(value: Mapping[str, Any]) -> str:
    return "{****}" if value else "{}"


@attrs.frozen(kw_only=True)
class Token(metaclass=Shown):
    """What a vendor granted (RFC 6749 §5.1). ``repr()`` shows no secret.

    All times are Unix seconds. ``expires_at`` counts from the moment the request was sent, so it is never too late.
    """

    access_token: str = attrs.field(converter=secret_str)
    """A ``str`` that ``repr`` masks; what goes into a request is ``authorization``."""
    token_type: str = "Bearer"
    """As the vendor wrote it (RFC 6749 §7.1)."""
    scope: str = ""
    """As granted, separated by spaces."""
    expires_at: float
    """When it expires, Unix seconds; ``math.inf``: never."""
    issued_at: float = 0.0
    """When the request for it was sent; ``expires_at - issued_at`` is its lifetime."""
    refresh_token: str | None = attrs.field(default=None, converter=secret_str_or_none)
    """A ``str`` that ``repr`` masks; None: there is none."""
    refresh_expires_at: float | None = None
    """When the refresh token lapses; None where the vendor does not say."""
    session_expires_at: float | None = attrs.field(default=None, metadata=OMIT)
    """When the user has to consent again, whatever is renewed; None where that is not stated (``OAuth2(session_lifetime=…)``)."""
    endpoint: str | None = None
    """Where the vendor wants later calls sent (Sage X3); None: the configured base URL."""
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any], converter=_extra, repr=_mask_extra, hash=False)
    """What else the vendor said, such as LinkXG's ``user``; at most 64 KiB of it, as JSON.

    What a login or a callback brought stays; what a renewal brought, until the next one.
    """
    renewed: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=OMIT)
    """Names in ``extra`` that only the last renewal brought."""
    left_out: tuple[str, ...] = attrs.field(default=(), repr=False, metadata=OMIT)
    """Names for which ``extra`` had no room."""
    claims: Mapping[str, Any] = attrs.field(
        factory=dict[str, Any], converter=_extra, repr=_mask_extra, hash=False, metadata=OMIT
    )
    """What the ``id_token`` says that came with a login under the scope ``openid``; empty unless it was checked then.

    OpenID Connect Core 1.0 §3.1.3.7: ``iss`` (where ``OAuth2(issuer=…)`` says it), ``aud``, ``azp``, ``exp``, ``iat``, ``nonce``.
    """

    @property
    def authorization(self) -> str:
        """The value of the ``Authorization`` header (RFC 6750 §2.1)."""
        kind = "Bearer" if self.token_type.lower() == "bearer" else self.token_type
        return SecretStr(f"{kind} {self.access_token}")
