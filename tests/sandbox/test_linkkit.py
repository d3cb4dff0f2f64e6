"""Linkkit: one test per rule of its pages."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.sandbox.talk import CHALLENGE, VERIFIER, get, post, url

REDIRECT = "https://app.example.com/callback"


@pytest.fixture
def linkkit(sandbox):
    sandbox.linkkit.settings.redirect_uris.append(REDIRECT)
    return sandbox.linkkit


def authorize_url(linkkit, **changes):
    params = {"response_type": "code", "client_id": linkkit.client_id, "redirect_uri": REDIRECT, "state": "s1"}
    return url(f"{linkkit.base_url}/oauth/authorize", **{**params, "scope": "one two", **changes})


async def ask(linkkit, http, **fields):
    plain = {"client_id": linkkit.client_id, "client_secret": linkkit.client_secret, **fields}
    return await post(http, f"{linkkit.base_url}/oauth/token", data={n: v for n, v in plain.items() if v is not None})


async def exchange(linkkit, http, code, **changes):
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **changes}
    return await ask(linkkit, http, **fields)


async def connected(linkkit, http):
    _, body = await exchange(linkkit, http, linkkit.consent(authorize_url(linkkit)).params["code"])
    return body


def is_plain_and_accessible(text, headers):
    assert '<html lang="en">' in text
    assert "<title>" in text
    assert "http://" not in text.split("</head>")[0]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(("button", "wanted"), [("accept", "code"), ("refuse", "error")])
async def test_consent_page_sends_the_browser_back(linkkit, http, button, wanted):
    """Buttons to accept and refuse; the answer and the state come back in the query, once."""
    async with http.get(authorize_url(linkkit)) as response:
        text = await response.text()
        is_plain_and_accessible(text, response.headers)
        assert f'<button name="answer" value="{button}">' in text
    ticket = text.split('name="ticket" value="')[1].split('"')[0]
    target = f"{linkkit.base_url}/oauth/authorize/answer"
    async with http.post(target, data={"ticket": ticket, "answer": button}, allow_redirects=False) as response:
        assert response.status == 303
        back = urlsplit(response.headers["Location"])
        assert response.headers["Location"].startswith(REDIRECT + "?")
        assert parse_qs(back.query)["state"] == ["s1"]
        assert wanted in parse_qs(back.query)
    async with http.post(target, data={"ticket": ticket, "answer": button}, allow_redirects=False) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "wrong"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": REDIRECT.upper()},
        {"redirect_uri": "http://127.0.0.1:1/callback"},
    ],
)
async def test_nobody_is_sent_to_an_unregistered_place(linkkit, http, wrong):
    """A wrong client or a redirect URI that is not exactly registered ends on a page."""
    async with http.get(authorize_url(linkkit, **wrong), allow_redirects=False) as response:
        assert response.status == 400
        assert "Location" not in response.headers


async def test_loopback_redirects_can_be_switched_on(linkkit):
    """For command lines that listen on any port; other machines stay out."""
    linkkit.settings.loopback_redirects = True
    here = "http://127.0.0.1:4711/callback"
    assert linkkit.consent(authorize_url(linkkit, redirect_uri=here)).redirect_uri == here
    with pytest.raises(ValueError, match="400"):
        linkkit.consent(authorize_url(linkkit, redirect_uri="http://192.0.2.1/callback"))


async def test_other_faults_of_the_request_come_back(linkkit):
    """RFC 6749 §4.1.2.1: the app is told, with its state."""
    params = linkkit.consent(authorize_url(linkkit, response_type="token")).params
    assert (params["error"], params["state"]) == ("unsupported_response_type", "s1")
    linkkit.settings.scopes = ["one"]
    assert linkkit.consent(authorize_url(linkkit)).params["error"] == "invalid_scope"
    assert linkkit.consent(authorize_url(linkkit), accept=False).params["error"] == "invalid_scope"
    linkkit.settings.scopes = None
    assert linkkit.consent(authorize_url(linkkit), accept=False).params["error"] == "access_denied"


async def test_exchange_answer_is_as_documented(linkkit, http):
    """No token_type; 3600 s; the scope that was asked for."""
    body = await connected(linkkit, http)
    assert set(body) == {"access_token", "refresh_token", "expires_in", "scope"}
    assert (body["expires_in"], body["scope"]) == (3600, "one two")


async def test_code_is_good_once(linkkit, http):
    """The second exchange fails with the documented words and ends what the first brought."""
    code = linkkit.consent(authorize_url(linkkit)).params["code"]
    _, first = await exchange(linkkit, http, code)
    status, body = await exchange(linkkit, http, code)
    assert (status, body) == (400, {"error": "invalid_grant", "error_description": "code_invalid_or_expired"})
    assert (await get(http, f"{linkkit.base_url}/v1/links", first["access_token"]))[0] == 401
    assert linkkit.counts["code_reuse"] == 1


async def test_code_expires(sandbox, linkkit, http):
    """After ten minutes it is as good as none."""
    code = linkkit.consent(authorize_url(linkkit)).params["code"]
    sandbox.advance(600)
    assert (await exchange(linkkit, http, code))[1]["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code": "wrong"}, 400, "invalid_grant"),
        ({"redirect_uri": "https://app.example.com/other"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"client_secret": None}, 400, "invalid_request"),
        ({"code": None}, 400, "invalid_request"),
        ({"redirect_uri": None}, 400, "invalid_request"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unauthorized_client"),
        ({"code_verifier": VERIFIER}, 400, "invalid_grant"),
    ],
)
async def test_exchange_errors(linkkit, http, changes, status, error):
    """Each of the documented meanings, in the documented shape."""
    code = linkkit.consent(authorize_url(linkkit)).params["code"]
    answer = await exchange(linkkit, http, **{"code": code, **changes})
    assert (answer[0], answer[1]["error"]) == (status, error)


async def test_token_request_must_be_a_form(linkkit, http):
    """JSON is refused."""
    status, body = await post(http, f"{linkkit.base_url}/oauth/token", json={"grant_type": "refresh_token"})
    assert (status, body["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("verifier", "status"), [(VERIFIER, 200), (VERIFIER[::-1], 400), (None, 400)])
async def test_pkce_is_checked_when_a_challenge_was_sent(linkkit, http, verifier, status):
    """S256 alone; a wrong or missing verifier is invalid_grant."""
    pkce = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    code = linkkit.consent(authorize_url(linkkit, **pkce)).params["code"]
    assert (await exchange(linkkit, http, code, code_verifier=verifier))[0] == status
    plain = linkkit.consent(authorize_url(linkkit, code_challenge=VERIFIER, code_challenge_method="plain"))
    assert plain.params["error"] == "invalid_request"


async def test_refresh_answers_only_token_and_lifetime(linkkit, http):
    """The refresh token stays the one it was, and may be used again and again."""
    body = await connected(linkkit, http)
    for _ in range(3):
        status, new = await ask(linkkit, http, grant_type="refresh_token", refresh_token=body["refresh_token"])
        assert (status, set(new), new["expires_in"]) == (200, {"access_token", "expires_in"}, 3600)
    status, wrong = await ask(linkkit, http, grant_type="refresh_token", refresh_token="wrong")
    assert (status, wrong["error"]) == (400, "invalid_grant")


async def test_refresh_can_rotate(linkkit, http):
    """Undocumented, so switchable: a new refresh token comes and replaces the old one."""
    linkkit.settings.rotates = True
    old = (await connected(linkkit, http))["refresh_token"]
    _, new = await ask(linkkit, http, grant_type="refresh_token", refresh_token=old)
    assert new["refresh_token"] != old
    assert (await ask(linkkit, http, grant_type="refresh_token", refresh_token=old))[0] == 400


async def test_links_page_by_page(sandbox, linkkit, http):
    """20 a page, at most 100; the schema's fields; 401 with the vendor's kind of error once the token expires."""
    bearer = (await connected(linkkit, http))["access_token"]
    _, body = await get(http, f"{linkkit.base_url}/v1/links", bearer)
    assert (len(body["data"]), body["meta"]) == (20, {"page": 1, "limit": 20, "total": 340})
    assert {"id", "short_code", "original_url", "is_active", "list_id", "created_at"} <= set(body["data"][0])
    _, body = await get(http, f"{linkkit.base_url}/v1/links?page=4&limit=100", bearer)
    assert len(body["data"]) == 40
    for query in ("limit=101", "limit=0", "page=0", "is_active=maybe"):
        status, body = await get(http, f"{linkkit.base_url}/v1/links?{query}", bearer)
        assert (status, set(body)) == (400, {"error"})
    sandbox.advance(3600)
    assert await get(http, f"{linkkit.base_url}/v1/links", bearer) == (401, {"error": "Unauthorized"})


async def test_whether_a_token_is_good(sandbox, linkkit, http):
    """``/v1/auth/test`` tells whose it is, with the schema's fields, and 401 once it has expired."""
    bearer, where = (await connected(linkkit, http))["access_token"], f"{linkkit.base_url}/v1/auth/test"
    status, body = await get(http, where, bearer)
    assert (status, set(body)) == (200, {"user_id", "workspace_id", "email", "name"})
    sandbox.advance(3600)
    assert await get(http, where, bearer) == (401, {"error": "Unauthorized"})


async def test_links_are_filtered(linkkit, http):
    """By words in title or URL in any case, by list, by being active; the total counts what is found."""
    bearer = (await connected(linkkit, http))["access_token"]
    base = f"{linkkit.base_url}/v1/links"
    _, body = await get(http, f"{base}?search=lINK%20no.%2012&limit=100", bearer)
    assert body["meta"]["total"] == len(body["data"]) == 10
    _, idle = await get(http, f"{base}?is_active=false&limit=100", bearer)
    assert not any(link["is_active"] for link in idle["data"])
    list_id = next(link["list_id"] for link in body["data"] if link["list_id"])
    _, listed = await get(http, f"{base}?list_id={list_id}", bearer)
    assert {link["list_id"] for link in listed["data"]} == {list_id}
