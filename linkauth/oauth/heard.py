"""A vendor's no in its own words, whatever their shape: texts, lists and objects under many names.

Only what answers as a token endpoint can say no. A redirect, a page or a 404 is somebody else's: then nothing was granted,
nothing was spent, and nobody is to blame.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from urllib.parse import urljoin, urlsplit

from linkauth import errors
from linkauth.errors import OAuthError, VendorUnavailable
from linkauth.oauth import generous, limits, wire
from linkauth.oauth.generous import folded
from linkauth.oauth.refusals import known, refusal
from linkauth.oauth.token import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from linkauth.oauth.exchange import Response

__all__ = ["is_dead", "is_done", "is_granted", "raise_no"]

CODES: Final = ("error", "errorcode", "errortype", "errcode", "code", "type", "status")
"""Names of a code, the most telling first; read without case, dashes and underscores."""
WORDS: Final = (
    *("errordescription", "errormessage", "errorsummary", "errormsg", "errmsg", "message", "msg", "faultstring"),
    *("description", "detail", "reason", "title", "error"),
)
"""Names of words for people, the most telling first."""
SAYING_NO: Final = frozenset({"error", "errors", "errorcode", "errortype", "errcode", "errordescription", "fault"})
"""Names that a granting answer has not, or has empty."""
UNDONE: Final = frozenset({"false", "0", "no"})
FAILED: Final = frozenset({"error", "fail", "failed", "failure"})
"""What ``success`` and ``ok``, ``status`` and ``result`` say of a request that was refused."""

DEEPEST: Final = 4
MOST_TEXTS: Final = 100
"""Texts of an answer that are looked at; a refusal has a few."""

LONGEST_CODE: Final = 80
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_BESIDE: Final = re.compile(r"[ .!]+")
"""What stands in words, and in no code."""

_THEIRS: Final[dict[str, type[OAuthError]]] = {
    **dict.fromkeys(
        [
            *("badrefreshtoken", "invalidrefreshtoken", "expiredrefreshtoken", "revokedrefreshtoken"),
            *("refreshtokeninvalid", "refreshtokenexpired", "refreshtokenrevoked", "refreshtokennotfound"),
            *("refreshtokenreused", "badverificationcode", "invalidcode", "codeexpired", "codealreadyused"),
        ],
        errors.InvalidGrant,  # GitHub, Slack, Apigee and others: a refresh token or a code that is no longer good
    ),
    **dict.fromkeys(
        ["interactionrequired", "loginrequired", "consentrequired", "accountselectionrequired"],
        errors.InvalidGrant,  # OpenID Connect Core §3.1.2.6, which Microsoft says to a renewal: only the user can help
    ),
    **dict.fromkeys(
        ["incorrectclientcredentials", "badclientsecret", "invalidclientid", "invalidclientsecret"],
        errors.InvalidClient,  # GitHub, Slack
    ),
}
"""Codes of vendors' own, as ``folded`` writes them."""


_RFC: Final = {
    folded(code): known(code)
    for code in (
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"),
        *("access_denied", "authorization_pending"),
    )
}


AWAY: Final = frozenset(
    {"temporarilyunavailable", "servererror", "serviceunavailable", "internalerror", "internalservererror"}
)
"""Codes under any status of a server that could not answer (RFC 6749 §4.1.2.1): nobody's refusal."""


def _kind(code: str) -> type[OAuthError] | None:
    """The class of a code that is known, however it is spelt."""
    found = known(code)
    return found if found is not OAuthError else _THEIRS.get(folded(code)) or _RFC.get(folded(code))


def _is_dead_grant(words: str) -> bool:
    """Whether these few words are a code of a dead grant, as people write it: ``Refresh token expired.``"""
    return len(words) <= LONGEST_CODE and _kind(_BESIDE.sub("", words)) is errors.InvalidGrant


def is_granted(said: wire.Masked, response: Response) -> bool:
    """Whether an answer that says ``said`` grants something: a 2xx with a token, or one that says no in no known way."""
    if not 200 <= response.status < 300 or _is_page(said, response):
        return False
    return bool(said.get("access_token")) or (is_done(said, response) and _heard(said, response)[2] is None)


def is_done(said: wire.Masked, response: Response) -> bool:
    """Whether a revocation was heard: whatever else a 2xx has in its body is of no interest (RFC 7009 §2.2)."""
    return 200 <= response.status < 300 and not _says_no(said)


def _says_no(said: wire.Masked) -> bool:
    spelt = {folded(name): value for name, value in said.items()}
    done = {str(spelt[name]).lower() for name in ("success", "ok") if name in spelt}
    ended = {str(spelt[name]).lower() for name in ("status", "result") if name in spelt}
    return bool(done & UNDONE or ended & FAILED or any(value for name, value in spelt.items() if name in SAYING_NO))


def is_dead(said: wire.Masked, response: Response, dead: Sequence[str]) -> bool:
    """Whether a refused renewal has one of ``dead``, in its words case aside, or as a code: the refresh token is dead.

    By what the vendor really said, for a short secret that is masked may be part of any word. 429 and 5xx speak of no token.
    """
    if response.status == 429 or response.status >= 500:
        return False
    texts = [text for _, text in _texts(said, response)]
    return any(
        text == one if _CODE.fullmatch(text) else one.casefold() in text.casefold() for text in texts for one in dead
    )


def raise_no(said: wire.Masked, response: Response, vendor: str, *, needs_user: bool, dead: bool = False) -> NoReturn:
    """Raise what the refusing answer means, which says ``said``.

    ``needs_user``: whether a user stands behind the request; where none does, none can lift the refusal. ``dead``: it is
    known to mean that the refresh token is no longer good. Raises an ``OAuthError`` or ``VendorUnavailable``.
    """
    code, words, kind = _heard(said, response)
    if _is_nobodys(said, response, kind):
        raise VendorUnavailable(_nowhere(response, vendor, words), retry_after=limits.retry_after(response.headers))
    if dead:
        raise errors.InvalidGrant(code, words, status=response.status)
    if folded(code) in AWAY and response.status < 500:
        raise VendorUnavailable(f"{vendor} answered {code}: {words}", retry_after=limits.retry_after(response.headers))
    # Whatever refuses has granted nothing, under any status; of those of RFC 6749 ``refusal`` knows more.
    by_status: dict[int, type[OAuthError]] = (
        {} if response.status in {401, 403} else {response.status: errors.InvalidRequest}
    )
    by_status |= {} if needs_user else {403: errors.Forbidden}
    if not needs_user and kind is errors.AccessDenied:
        kind = errors.Forbidden
    by_code = {} if kind is None else {code: kind}
    error = refusal(response, vendor, code, words, by_code, by_status)
    if isinstance(error, OAuthError):
        error.unexplained = not code and not words
    raise error


def _heard(said: wire.Masked, response: Response) -> tuple[str, str, type[OAuthError] | None]:
    """The code and the words of a refusal, made fit to show, and the code's class where it is known.

    A function of its own, so that no frame of a traceback holds what the vendor really said.
    """
    texts = _texts(said, response)
    secrets = response.secrets()
    named = [text for wanted in CODES for name, text in texts if name == wanted]
    coded = [text for text in named if _CODE.fullmatch(text)]
    code = next((text for text in coded if _kind(text)), "")
    dead = next((text for text in named if _is_dead_grant(text)), "") if not code else ""
    if dead:
        return str(dead), "", errors.InvalidGrant
    if not code and coded and coded[0] != str(response.status):
        code = coded[0]
    words = [text for wanted in WORDS for name, text in texts if name == wanted and text != code]
    words += [text for name, text in texts if text != code and text not in coded and name not in CODES]
    kind = _kind(code)
    shown = str(code) if kind is not None else wire.words(code, *secrets)
    return shown, wire.words(words[0], *secrets) if words else "", kind


def _texts(said: wire.Masked, response: Response) -> list[tuple[str, str]]:
    """The texts and numbers of a refusal with their names, the outermost first; no secrets, and not too many."""
    found: list[tuple[str, str]] = []
    level: list[tuple[str, object]] = list(said.items())
    if not said and generous.content_type(response) == "text/plain":
        level = [("error", response.body[: wire.LONGEST_READ].decode("utf-8", "replace").strip())]
    for _ in range(DEEPEST):
        inner: list[tuple[str, object]] = []
        for name, value in level[:MOST_TEXTS]:
            if isinstance(value, str) and not isinstance(value, SecretStr) and value.strip():
                found.append((folded(name), value))
            elif isinstance(value, int) and not isinstance(value, bool) and 0 < abs(value) < 10**9:
                found.append((folded(name), str(value)))
            else:
                inner += islice(_inside(name, value), MOST_TEXTS - len(inner))  # no more of them are looked at
        level = inner
    return found[:MOST_TEXTS]


def _inside(name: str, value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        yield from ((name, one) for one in cast("list[object]", value))


def _is_page(said: wire.Masked, response: Response) -> bool:
    """Whether the answer is for a browser: a proxy's, a firewall's, or that of a site that has a page for everything."""
    return not said and ("html" in generous.content_type(response) or response.body.lstrip()[:1] == b"<")


def _is_nobodys(said: wire.Masked, response: Response, kind: type[OAuthError] | None) -> bool:
    """Whether no token endpoint answered."""
    if response.status == 429 or response.status >= 500:
        return False
    moved = 300 <= response.status < 400
    missing = response.status in {404, 405, 410}
    return kind is None and (moved or missing or _is_page(said, response))


def _nowhere(response: Response, vendor: str, words: str) -> str:
    request = response.request
    asked = "" if request is None else f" at {_place(request.url)}"
    text = f"{vendor}: no token endpoint answered{asked}: HTTP {response.status}"
    location = response.headers.get("location", "")
    if 300 <= response.status < 400 and location:
        there = _place(location, "" if request is None else request.url)
        text += f", which points to {wire.words(there, *response.secrets()) or 'what is no URL'}"
    return f"{text}: {words}" if words else text


def _place(url: str, base: str = "") -> str:
    """Origin and path of ``url``, which may be relative to ``base``; empty where it has none."""
    try:
        parts = urlsplit(urljoin(base, url))
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else ""
