"""What a vendor's no means: codes (RFC 6749 §5.2, RFC 6750 §3.1), else the HTTP status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from linkauth import errors
from linkauth.errors import MalformedResponse, OAuthError, RateLimited, VendorUnavailable
from linkauth.oauth import limits, wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from linkauth.oauth.exchange import Response

__all__ = ["details", "known", "raise_refusal", "refusal", "said"]

_BY_CODE: Final[dict[str, type[OAuthError]]] = {
    kind.code: kind
    for kind in (
        errors.InvalidRequest,
        errors.InvalidClient,
        errors.InvalidGrant,
        errors.UnauthorizedClient,
        errors.InvalidScope,
        errors.InvalidToken,
        errors.InsufficientScope,
        errors.AccessDenied,
        errors.AuthorizationPending,
    )
}

_BY_STATUS: Final[dict[int, type[OAuthError]]] = {
    400: errors.InvalidRequest,
    401: errors.InvalidClient,
    403: errors.AccessDenied,
}


def raise_refusal(response: Response, vendor: str, *secrets: str) -> NoReturn:
    """Raise what a refusing answer means: ``{"error", "error_description"}`` of RFC 6749 §5.2, else by status.

    What the request carried is masked should the vendor repeat it, and so are ``secrets``.
    """
    code, description = said(response, ("error", "error_description"), *secrets)
    raise refusal(response, vendor, code, description)


def said(
    response: Response, names: tuple[str, ...], *secrets: str, inside: str | None = None, codes: Iterable[str] = ()
) -> list[str]:
    """The vendor's words under ``names`` of the JSON object that came (or in its member ``inside``), made fit to show.

    What the request carried is masked in them, and so are ``secrets``. RFC 6749's codes and ``codes`` are left as they
    are, though a short secret be part of one. A function of its own, so that no frame of a traceback holds what the
    vendor really said.
    """
    value = wire.as_object(wire.decode(response.body))
    value = value if inside is None else wire.as_object(value.get(inside))
    plain = {*_BY_CODE, RateLimited.code, *codes}
    given = (*secrets, *response.secrets())
    return [t if isinstance(t, str) and t in plain else wire.words(t, *given) for t in map(value.get, names)]


def details(response: Response) -> Any:
    """``error.details`` of the JSON object that came (LinkXG's envelope), made fit to show; None where there is none."""
    told = wire.as_object(wire.as_object(wire.decode(response.body)).get("error")).get("details")
    return wire.fit(told, *response.secrets()) if told else None


def known(code: str, by_code: Mapping[str, type[OAuthError]] | None = None) -> type[OAuthError]:
    """The class of an error code: ``by_code`` (the vendor's own) first, then RFC 6749's and 6750's, else ``OAuthError``."""
    return {**_BY_CODE, **(by_code or {})}.get(code, OAuthError)


def refusal(
    response: Response,
    vendor: str,
    code: str,
    description: str,
    by_code: Mapping[str, type[OAuthError]] | None = None,
    by_status: Mapping[int, type[OAuthError]] | None = None,
    details: Any = None,
) -> Exception:
    """The error that a refusing answer means. ``by_code``: the vendor's own codes, before RFC 6749's.

    429 and 5xx are told by status, whatever the body says, for proxies send them too. ``by_status``: the class for an
    answer without a code, where it is not RFC 6749's. ``details``: what else the vendor said (``OAuthError.details``).
    """
    status = response.status
    if status == 429 or code == RateLimited.code:
        after, window = limits.retry_after(response.headers), limits.rate_limit(response.headers)
        return RateLimited(code, description, status=status, details=details, retry_after=after, **window)
    if status >= 500:
        words = "".join(f": {text}" for text in (code, description) if text)
        after = limits.retry_after(response.headers)
        # A gateway that gave up (502, 504) may well have delivered the request.
        kind = errors.NoAnswer if status in {502, 504} else VendorUnavailable
        return kind(f"{vendor} answered HTTP {status}{words}", retry_after=after)
    if code:
        return known(code, by_code)(code, description, status=status, details=details)
    by_status = {**_BY_STATUS, **(by_status or {})}
    if status in by_status:
        by = by_status[status]
        reason = description or f"{vendor} gave no reason"
        return by(by.code or "unauthorized", reason, status=status, details=details)
    words = f": {description}" if description else " with nothing that is documented"
    return MalformedResponse(f"{vendor} answered HTTP {status}{words}")
