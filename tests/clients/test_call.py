"""What a vendor's refusals and failures become, at every vendor, and that none of it holds the token."""

from __future__ import annotations

import traceback
from base64 import b64encode

import aiohttp
import pytest
from aiohttp import web

from linkauth import AuthEngine, LinkXG, errors
from linkauth.clients import LinkkitClient, LinkXGClient, SageX3Client
from linkauth.clients import call as call_module
from linkauth.errors import LinkAuthError, OAuthError
from tests.clients.conftest import Api

CANARY = "canary-5f3a"


def enveloped(code: str) -> dict[str, object]:
    return {"success": False, "error": {"code": code, "message": "the vendor's words", "details": {}}}


async def failure(session: aiohttp.ClientSession, vendor: str) -> LinkAuthError:
    """What the vendor's first call raises; proved to hold no token wherever an error can hold one."""
    with pytest.raises(LinkAuthError) as caught:
        if vendor == "linkxg":
            _ = [product async for product in LinkXGClient(session).products()]
        elif vendor == "linkkit":
            _ = [link async for link in LinkkitClient(session).links()]
        else:
            await SageX3Client(session).folders()
    error: BaseException | None = caught.value
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    while error is not None:
        assert CANARY not in f"{error!r} {vars(error)!r} {error.args!r}"
        assert isinstance(error, LinkAuthError)
        error = error.__cause__ or error.__context__
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("TOKEN_EXPIRED", 401, errors.InvalidToken),
        ("TOKEN_INVALID", 401, errors.InvalidToken),
        ("INSUFFICIENT_SCOPE", 403, errors.InsufficientScope),
        ("INSUFFICIENT_PERMISSIONS", 403, errors.AccessDenied),
        ("MISSING_CAPABILITY", 403, errors.Forbidden),
        ("LIMIT_EXCEEDED", 403, errors.Forbidden),
        ("TENANT_MISMATCH", 403, errors.Forbidden),
        ("SOMETHING_NEW", 403, errors.AccessDenied),
        ("NOT_FOUND", 404, errors.NotFound),
        ("SOMETHING_NEW", 404, errors.NotFound),
        ("DUPLICATE_SKU", 409, errors.Conflict),
        ("SOMETHING_NEW", 409, errors.Conflict),
        ("VALIDATION_ERROR", 422, errors.UnprocessableContent),
        ("SOMETHING_NEW", 422, errors.UnprocessableContent),
        ("INVALID_FORMAT", 400, errors.InvalidRequest),
        ("SOMETHING_NEW", 418, OAuthError),
        ("TOKEN_EXPIRED", 200, errors.InvalidToken),
        ("LIMIT_EXCEEDED", 200, errors.Forbidden),
        ("VALIDATION_ERROR", 200, errors.UnprocessableContent),
    ],
)
async def test_linkxg_enveloped_refusals(
    api: Api,
    session: aiohttp.ClientSession,
    code: str,
    status: int,
    kind: type[OAuthError],
) -> None:
    """Each documented code is its class; one that is new is told by its status and keeps its words."""
    api.answers(enveloped(code), status)
    error = await failure(session, "linkxg")
    assert type(error) is kind
    assert isinstance(error, OAuthError)
    assert (error.error, error.description, error.status) == (code, "the vendor's words", status)


@pytest.mark.parametrize("vendor", ["linkxg", "linkkit", "sagex3"])
@pytest.mark.parametrize(
    ("body", "status", "kind", "said"),
    [
        ({"error": "invalid_token", "error_description": "expired"}, 401, errors.InvalidToken, "invalid_token"),
        ({"error": "insufficient_scope"}, 403, errors.InsufficientScope, "insufficient_scope"),
        ({"error": "Invalid API key"}, 401, errors.InvalidToken, "Invalid API key"),
        ({"error": "limit must be a number"}, 400, errors.InvalidRequest, "limit must be a number"),
        ({"message": "Unauthorised"}, 401, errors.InvalidToken, "Unauthorised"),
        ({"message": "No such folder"}, 404, errors.NotFound, "No such folder"),
        ({}, 404, errors.NotFound, "not_found"),
        ({"error": "slug is taken"}, 409, errors.Conflict, "slug is taken"),
        ({"error": "url must be a URL"}, 422, errors.UnprocessableContent, "url must be a URL"),
        ("text", 422, errors.UnprocessableContent, "unprocessable_content"),
        ({}, 401, errors.InvalidToken, "invalid_token"),
        ("text", 403, errors.AccessDenied, "access_denied"),
        (enveloped("TOKEN_EXPIRED"), 401, errors.InvalidToken, "TOKEN_EXPIRED"),
    ],
)
async def test_refusals_in_every_shape(
    api: Api,
    session: aiohttp.ClientSession,
    vendor: str,
    body: object,
    status: int,
    kind: type[OAuthError],
    said: str,
) -> None:
    """Every shape in which a vendor refuses is understood at every vendor; a 401 is never the client's fault here."""
    api.answers(body, status)
    error = await failure(session, vendor)
    assert type(error) is kind
    assert isinstance(error, OAuthError)
    assert (error.error, error.status) == (said, status)


@pytest.mark.parametrize(
    ("code", "status"), [("VALIDATION_ERROR", 422), ("DUPLICATE_SKU", 409), ("LIMIT_EXCEEDED", 403)]
)
async def test_details_say_which_field(api: Api, session: aiohttp.ClientSession, code: str, status: int) -> None:
    """``error.details`` arrives as the vendor sent it, its texts made fit to show; elsewhere it is empty."""
    details = {"fields": [{"field": "sku", "message": "is taken\r\n" + "x" * 900, "limit": 10}]}
    api.answers({"success": False, "error": {"code": code, "message": "no", "details": details}}, status)
    error = await failure(session, "linkxg")
    assert isinstance(error, OAuthError)
    (field,) = error.details["fields"]
    assert (field["field"], field["limit"]) == ("sku", 10)
    assert field["message"].startswith("is taken  xx")
    assert len(field["message"]) == 301
    api.answers({"error": "no"}, status)
    error = await failure(session, "linkkit")
    assert isinstance(error, OAuthError)
    assert error.details == {}


@pytest.mark.parametrize("vendor", ["linkxg", "linkkit", "sagex3"])
async def test_rate_limit_carries_retry_after(api: Api, session: aiohttp.ClientSession, vendor: str) -> None:
    """429 is ``RateLimited`` with the seconds that the vendor said."""
    api.answers({"error": "rate_limit_exceeded"}, 429, {"Retry-After": "17"})
    error = await failure(session, vendor)
    assert isinstance(error, errors.RateLimited)
    assert error.retry_after == 17
    assert (error.limit, error.remaining, error.reset_at) == (None, None, None)


async def test_rate_limit_says_how_much_is_left(api: Api, session: aiohttp.ClientSession) -> None:
    """LinkXG's ``X-RateLimit-*`` are on the error, as numbers; what is no such number is None."""
    said = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000060"}
    api.answers(enveloped("RATE_LIMIT_EXCEEDED"), 429, said)
    error = await failure(session, "linkxg")
    assert isinstance(error, errors.RateLimited)
    assert (error.limit, error.remaining, error.reset_at) == (100, 0, 1_700_000_060.0)
    api.answers(enveloped("RATE_LIMIT_EXCEEDED"), 429, dict.fromkeys(said, "9" * 400))
    error = await failure(session, "linkxg")
    assert isinstance(error, errors.RateLimited)
    assert (error.limit, error.remaining, error.reset_at) == (None, None, None)


@pytest.mark.parametrize("vendor", ["linkxg", "linkkit", "sagex3"])
@pytest.mark.parametrize("status", [500, 501, 503])
async def test_server_errors(api: Api, session: aiohttp.ClientSession, vendor: str, status: int) -> None:
    """5xx is ``VendorUnavailable``, with the vendor's words where it has any."""
    api.answers({"message": "on fire"}, status)
    error = await failure(session, vendor)
    assert type(error) is errors.VendorUnavailable
    assert str(error) == f"{vendor} answered HTTP {status}: on fire"


@pytest.mark.parametrize("vendor", ["linkxg", "linkkit", "sagex3"])
async def test_html_and_redirects_are_malformed(api: Api, session: aiohttp.ClientSession, vendor: str) -> None:
    """A page for people, or a redirect (none is documented, none is followed), is not an answer."""

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>hello</html>", content_type="text/html")

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    for handler in (page, elsewhere):
        api.handler = handler
        assert type(await failure(session, vendor)) is errors.MalformedResponse
    assert len(api.asked) == 2


async def test_no_connection_is_not_sent(api: Api, unused_tcp_port: int) -> None:
    """Where no connection came about the vendor saw nothing, and the error says so."""
    headers = {"Authorization": f"Bearer {CANARY}"}
    async with aiohttp.ClientSession(base_url=f"http://127.0.0.1:{unused_tcp_port}/", headers=headers) as session:
        assert type(await failure(session, "linkxg")) is errors.NotSent


async def test_cut_answer_is_no_answer(api: Api, session: aiohttp.ClientSession) -> None:
    """A connection that is lost in the middle is ``NoAnswer``."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"data"')
        assert request.transport is not None
        request.transport.abort()
        return response

    api.handler = cut
    assert type(await failure(session, "sagex3")) is errors.NoAnswer


async def test_slow_answer_is_no_answer(api: Api) -> None:
    """The session's own time-out ends as ``NoAnswer`` too."""
    import asyncio

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return web.json_response({})

    api.handler = slow
    limit = aiohttp.ClientTimeout(total=0.05)
    headers = {"Authorization": f"Bearer {CANARY}"}
    async with aiohttp.ClientSession(base_url=api.url, timeout=limit, headers=headers) as session:
        assert type(await failure(session, "linkkit")) is errors.NoAnswer


async def test_too_large_an_answer(
    api: Api,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer is not read past the limit."""
    monkeypatch.setattr(call_module, "LARGEST", 1000)
    api.answers({"data": ["x" * 2000]})
    error = await failure(session, "linkkit")
    assert type(error) is errors.MalformedResponse
    assert "larger than 1000 bytes" in str(error)


async def test_session_without_base_url() -> None:
    """A session that no credential made is the caller's mistake, and the error says what to do."""
    async with aiohttp.ClientSession() as session:
        error = await failure(session, "linkxg")
    assert type(error) is errors.ConfigurationError
    assert "credential.session()" in str(error)


WORDY = {
    "enveloped": lambda token: {
        "success": False,
        "error": {"code": f"BAD_{token}", "message": f"no such token: {token}"},
    },
    "flat": lambda token: {"error": token, "error_description": f"no such token: {token}"},
    "message": lambda token: {"message": f"the header was 'Bearer {token}'"},
    "piece": lambda token: {"message": f"no token begins with {token[:16]}"},
    "base64": lambda token: {"message": b64encode(f"Authorization: Bearer {token}".encode()).decode()},
}


@pytest.mark.parametrize("vendor", ["linkxg", "linkkit", "sagex3"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500, 502])
@pytest.mark.parametrize("wordy", WORDY.values(), ids=WORDY)
async def test_an_api_that_repeats_the_token(api: Api, wordy, status: int, vendor: str) -> None:
    """The bearer that an API refused stands nowhere in the error: not whole, not in part, not in base64."""
    token = "canary-token-Zq7-" + "k3J9x" * 5
    api.answers(wordy(token), status)
    async with aiohttp.ClientSession(f"{api.url}api/v1/", headers={"Authorization": f"Bearer {token}"}) as session:
        error = await failure(session, vendor)
    shown = f"{error} {error!r} {vars(error)!r}"
    assert "****" in shown
    assert not [piece for piece in (token[at : at + 12] for at in range(len(token) - 11)) if piece in shown]
    assert b64encode(token.encode()).decode()[4:24] not in shown


async def test_a_refused_token_of_a_credential_is_not_repeated(api: Api) -> None:
    """The same where the middleware put the token on the request, and a renewed one after the refusal."""
    tokens = iter(f"canary-granted-{number}-{'x7Kq' * 5}" for number in range(9))

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/oauth/token"):
            return web.json_response({"access_token": next(tokens), "token_type": "Bearer", "expires_in": 900})
        words = f"refused: {request.headers['Authorization']}"
        return web.json_response({"error": {"code": "TOKEN_INVALID", "message": words}}, status=401)

    api.handler = serve
    async with AuthEngine("memory:") as engine:
        credential = engine.credential(
            LinkXG(client_id="c", client_secret="canary-secret", base_url=f"{api.url}api/v1")
        )
        async with credential.session() as session:
            error = await failure(session, "linkxg")
    assert isinstance(error, errors.InvalidToken)
    assert error.description == "refused: Bearer ****"


async def test_graphql_errors_do_not_repeat_the_token(api: Api) -> None:
    """In ``errors`` at any depth, in values and in names: the token is masked, and what else Sage said is there."""
    token = "canary-token-Zq7-" + "k3J9x" * 5

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            url = f"{api.url}api/v1/service/X/graphQL"
            return web.json_response({"folders": [{"name": "X", "$urls": {"dataService": url}}]})
        told = {"message": f"bad {token}", "extensions": {token: [{"header": f"Bearer {token}", "line": 3}]}}
        return web.json_response({"errors": [told]})

    api.handler = serve
    async with aiohttp.ClientSession(f"{api.url}api/v1/", headers={"Authorization": f"Bearer {token}"}) as session:
        with pytest.raises(errors.GraphQLError) as caught:
            await SageX3Client(session).graphql("X", "{ x }")
    (told,) = caught.value.errors
    assert told == {"message": "bad ****", "extensions": {"****": [{"header": "Bearer ****", "line": 3}]}}
    assert str(caught.value) == "bad ****"
