"""Sage X3: one test per rule of its pages."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.sandbox.talk import claims, get, post, url

REDIRECT = "https://app.example.com/callback"
REGISTERED = "registered on Sage Business Cloud"
QUERY = "{ sage { x3BusinessPartners { customer(first: 2) { edges { node { code companyName } } } } } }"


@pytest.fixture
def sage(sandbox):
    sandbox.sagex3.settings.redirect_uris.append(REDIRECT)
    return sandbox.sagex3


def authorise_url(sage, **changes):
    params = {
        "client_id": sage.client_id,
        "scope": "businessDomain.ALL api.graphQL",
        "customer": sage.customer,
        "redirect_uri": REDIRECT,
        "state": "s1",
    }
    return url(f"{sage.base_url}/token/authorise", **{**params, **changes})


async def ask(sage, http, root=None, **fields):
    plain = {"client_id": sage.client_id, "client_secret": sage.client_secret, **fields}
    body = {name: value for name, value in plain.items() if value is not None}
    return await post(http, f"{root or sage.base_url}/token", json=body)


async def exchange(sage, http, code, root=None, **changes):
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **changes}
    return await ask(sage, http, root, **fields)


async def refresh(sage, http, token, root=None):
    return await ask(sage, http, root, grant_type="refresh_token", refresh_token=token)


async def paired(sage, http, folders=("SEED",)):
    callback = sage.consent(authorise_url(sage), folders=folders)
    return (await exchange(sage, http, callback.params["authorizationCode"]))[1]


async def test_root_lists_the_endpoints(sage, http):
    """GET of the root names the four documented ones."""
    status, body = await get(http, sage.base_url)
    assert status == 200
    assert body["customerAccess"].keys() == {"authorise", "token"}
    assert body["customerUsage"].keys() == {"folder", "graphQL"}
    assert body["customerAccess"]["token"] == f"{sage.base_url}/token"


@pytest.mark.parametrize("name", ["client_id", "scope", "customer", "redirect_uri", "state"])
async def test_authorise_needs_every_parameter(sage, http, name):
    """A missing one is a 400 with a message; ``customer`` is a parameter of its own."""
    status, body = await get(http, authorise_url(sage, **{name: None}))
    assert (status, set(body)) == (400, {"message"})


@pytest.mark.parametrize("wrong", [{"client_id": "wrong"}, {"redirect_uri": REDIRECT + "/"}])
async def test_unknown_application_is_404(sage, http, wrong):
    """No application for that client_id or redirect_uri."""
    assert (await get(http, authorise_url(sage, **wrong)))[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "api.graphQL"},
        {"scope": "businessDomain.ALL"},
        {"scope": "businessDomain.ALL api.graphQL customer=https://x3.customer.com", "customer": None},
        {"customer": "x3.customer.com"},
    ],
)
async def test_scope_and_customer_are_looked_at(sage, http, wrong):
    """A scope is an API and a right; the customer is a URL and no part of the scope."""
    assert (await get(http, authorise_url(sage, **wrong)))[0] == 400


async def test_disabled_application_is_403(sage, http):
    """At authorise and at the token endpoint."""
    body = await paired(sage, http)
    sage.settings.disabled = True
    assert (await get(http, authorise_url(sage)))[0] == 403
    assert (await refresh(sage, http, body["refresh_token"]))[0] == 403


async def test_user_answers_later_and_the_browser_posts(sandbox, sage, http):
    """The page can be left and found again; on acceptance a form that sends itself POSTs to the redirect URI."""
    async with http.get(authorise_url(sage)) as response:
        first = await response.text()
        assert '<label><input type="checkbox" name="folder" value="SEED">' in first
    page = next(iter(sage.links().values()))
    async with http.get(sandbox.url) as response:
        assert f'href="{page}"' in await response.text()
    sandbox.advance(86_000)
    async with http.get(sage.origin + page) as response:
        assert response.status == 200
    async with http.post(sage.origin + page, data={"answer": "accept"}) as response:
        assert "Choose at least one folder" in await response.text()
    async with http.post(sage.origin + page, data={"answer": "accept", "folder": "SEED"}) as response:
        text = await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        nonce = re.search(r'<script nonce="(.+?)">document.forms\[0\].submit', text)[1]
        assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
    assert f'<form method="post" action="{REDIRECT}">' in text
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', text))
    assert set(sent) == {"authorizationCode", "state"}
    assert sent["state"] == "s1"
    assert (await exchange(sage, http, sent["authorizationCode"]))[0] == 200
    async with http.post(sage.origin + page, data={"answer": "reject"}) as response:
        assert response.status == 400


@pytest.mark.parametrize("kind", ["form", "json", "query"])
async def test_callback_is_delivered_in_each_form(sage, kind):
    """A POST with a form, as documented; or with JSON, or a GET, as some day it may be."""
    seen = asyncio.get_running_loop().create_future()

    async def called(request):
        form = dict(await request.post()) if request.content_type != "application/json" else await request.json()
        seen.set_result((request.method, form or dict(request.query)))
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/callback", called)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        sage.settings.callback, sage.settings.loopback_redirects = kind, True
        sage.visit(authorise_url(sage, redirect_uri=f"http://127.0.0.1:{runner.addresses[0][1]}/callback"))
        callback = await sage.accept("s1", deliver=True)
        assert await seen == ("GET" if kind == "query" else "POST", callback.params)
        assert sage.counts["callback_200"] == 1
    finally:
        await runner.cleanup()


async def test_token_answer_is_as_documented(sage, http):
    """Both lifetimes, lower-case bearer, and the granted folders in the scope; both tokens are JWTs."""
    body = await paired(sage, http, folders=["SEED", "X3"])
    assert body["scope"] == "businessDomain.ALL api.graphQL folder.SEED folder.X3"
    assert (body["token_type"], body["expires_in"], body["refresh_token_expires_in"]) == ("bearer", 300, 2_678_400)
    assert len(body) == 6
    here = urlsplit(sage.base_url).netloc
    for name, lifetime in (("access_token", 300), ("refresh_token", 2_678_400)):
        said = claims(body[name])
        assert said.keys() == {"iss", "aud", "iat", "exp", "region", "sub", "azp", "scopes", "jti"}
        assert said["iss"] == said["aud"] == here
        assert said["exp"] - said["iat"] == pytest.approx(lifetime)
        assert said["scopes"] == body["scope"]


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"code": None}, 400, "Missing required request parameters"),
        ({"redirect_uri": None}, 400, "Missing required request parameters"),
        ({"client_secret": None}, 400, "Missing required request parameters"),
        ({"client_secret": 7}, 400, "Missing required request parameters"),
        ({"grant_type": None}, 400, "Missing required request parameters"),
        ({"grant_type": "client_credentials"}, 400, "Invalid grant type"),
        ({"client_id": "wrong"}, 404, f"Could not associate the values with an active application {REGISTERED}"),
        ({"client_secret": "wrong"}, 404, f"Could not associate the values with an active application {REGISTERED}"),
        (
            {"redirect_uri": "https://app.example.com/other"},
            404,
            f"Could not associate the values with an application {REGISTERED}",
        ),
        ({"code": "wrong"}, 403, "Pairing request not found"),
    ],
)
async def test_token_errors(sage, http, changes, status, words):
    """Each with its status and Sage's own sentence, and nothing but a message."""
    callback = sage.consent(authorise_url(sage))
    answer = await exchange(sage, http, **{"code": callback.params["authorizationCode"], **changes})
    assert answer == (status, {"message": words})


async def test_a_disabled_application(sage, http):
    """Neither pairs nor gets tokens, in Sage's own words."""
    code = sage.consent(authorise_url(sage)).params["authorizationCode"]
    sage.settings.disabled = True
    told = (403, {"message": f"The application {REGISTERED} is disabled"})
    assert await get(http, authorise_url(sage)) == told
    assert await exchange(sage, http, code) == told


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("businessDomain.ALL api.graphQL", 200),
        ("user.? api.graphQL", 200),
        ("api.dataDelivery", 200),
        ("api.dataIngestion", 200),
        ("api.dataIngestion api.dataDelivery", 200),
        ("businessDomain.ALL api.dataDelivery", 400),
        ("api.graphQL api.dataDelivery", 400),
        ("api.graphQL", 400),
        ("businessDomain.ALL", 400),
    ],
)
async def test_an_api_is_asked_for_with_a_right_or_alone(sage, http, scope, status):
    """GraphQL needs a right beside it; data delivery and ingestion are asked for without, and with nothing else."""
    async with http.get(authorise_url(sage, scope=scope)) as response:
        assert response.status == status


async def test_an_api_that_was_asked_for_alone_is_granted(sage, http):
    """Its tokens name it and the folders, and open no GraphQL."""
    callback = sage.consent(authorise_url(sage, scope="api.dataDelivery"))
    _, body = await exchange(sage, http, callback.params["authorizationCode"])
    assert body["scope"] == claims(body["access_token"])["scopes"] == "api.dataDelivery folder.SEED"
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    target = f"{sage.base_url}/service/X3CLOUDV2_SEED/graphQL"
    assert (await post(http, target, json={"query": QUERY}, headers=headers))[0] == 401


async def test_what_is_not_there_is_told_in_sages_shape(sage, http):
    """An unknown path is a 404 with a message."""
    status, body = await get(http, f"{sage.base_url}/nothing")
    assert (status, set(body)) == (404, {"message"})


async def test_token_request_must_be_json(sage, http):
    """A form is refused."""
    status, body = await post(http, f"{sage.base_url}/token", data={"grant_type": "refresh_token"})
    assert (status, set(body)) == (400, {"message"})


async def test_exchange_before_the_answer_is_not_accepted_yet(sage, http):
    """The documented words; the code works once the user has accepted."""
    code = sage.visit(authorise_url(sage)).code
    assert await exchange(sage, http, code) == (403, {"message": "The pairing request has not been accepted."})
    await sage.accept("s1")
    assert (await exchange(sage, http, code))[0] == 200


async def test_rejected_and_expired_pairings(sandbox, sage, http):
    """A rejection is told with the state and leaves nothing to fetch; an unused code is good for a day."""
    callback = sage.consent(authorise_url(sage), accept=False)
    assert (callback.method, callback.params["error"], callback.params["state"]) == ("POST", "access_denied", "s1")
    assert (await exchange(sage, http, sage.pairing("s1").code))[1]["message"] == "Pairing request not found"
    code = sage.consent(authorise_url(sage)).params["authorizationCode"]
    sandbox.advance(86_400)
    assert await exchange(sage, http, code) == (403, {"message": "The request has expired."})


async def test_code_is_good_once(sage, http):
    """The second exchange finds nothing, and ends the first one's session."""
    code = sage.consent(authorise_url(sage)).params["authorizationCode"]
    _, body = await exchange(sage, http, code)
    assert (await exchange(sage, http, code))[0] == 403
    assert await get(http, f"{sage.base_url}/folders", body["access_token"]) == (401, {"message": "Unauthorised"})
    assert sage.counts["code_reuse"] == 1


async def test_refresh_rotates_and_reuse_ends_the_family(sage, http):
    """A new refresh token with each access token; the spent one takes everything with it."""
    first = await paired(sage, http)
    status, second = await refresh(sage, http, first["refresh_token"])
    assert (status, second.keys()) == (200, first.keys())
    assert second["refresh_token"] != first["refresh_token"]
    assert (await refresh(sage, http, first["refresh_token"]))[0] == 403
    assert (await refresh(sage, http, second["refresh_token"]))[0] == 403
    assert (await get(http, f"{sage.base_url}/folders", second["access_token"]))[0] == 401
    assert sage.counts["refresh_reuse"] == 1


async def test_lifetimes(sandbox, sage, http):
    """Access 300 s, refresh 31 days from each refresh."""
    body = await paired(sage, http)
    sandbox.advance(299)
    assert (await get(http, f"{sage.base_url}/folders", body["access_token"]))[0] == 200
    sandbox.advance(1)
    assert (await get(http, f"{sage.base_url}/folders", body["access_token"]))[0] == 401
    sandbox.advance(2_678_400 - 301)
    _, body = await refresh(sage, http, body["refresh_token"])
    sandbox.advance(2_678_400)
    assert (await refresh(sage, http, body["refresh_token"]))[1]["message"] == "The request has expired."


async def test_customer_region_takes_over(sage, http):
    """With the switch on, the callback names the other root, and only that one knows the pairing."""
    sage.settings.customer_region = True
    params = sage.consent(authorise_url(sage)).params
    region = params["endpoint"]
    assert region == sage.region_url
    assert region != sage.base_url
    assert (await exchange(sage, http, params["authorizationCode"]))[0] == 403
    status, body = await exchange(sage, http, params["authorizationCode"], region)
    assert status == 200
    assert claims(body["access_token"])["iss"] == urlsplit(region).netloc
    assert (await get(http, f"{sage.base_url}/folders", body["access_token"]))[0] == 401
    _, folders = await get(http, f"{region}/folders", body["access_token"])
    assert folders["folders"][0]["$urls"]["dataService"].startswith(region)
    assert (await refresh(sage, http, body["refresh_token"]))[0] == 403
    assert (await refresh(sage, http, body["refresh_token"], region))[0] == 200


async def test_only_the_chosen_folders(sage, http):
    """Listed as documented; another folder's data service is closed."""
    body = await paired(sage, http, folders=["X3"])
    _, listed = await get(http, f"{sage.base_url}/folders", body["access_token"])
    x3 = f"{sage.base_url}/service/X3CLOUDV2_X3/graphQL"
    assert listed == {"folders": [{"name": "X3", "$urls": {"dataService": x3}}]}
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await post(http, x3, json={"query": QUERY}, headers=headers))[0] == 200
    assert (await post(http, x3.replace("_X3", "_SEED"), json={"query": QUERY}, headers=headers))[0] == 401
    with pytest.raises(ValueError, match="no such folder"):
        sage.consent(authorise_url(sage), folders=["NOPE"])


async def graph(sage, http, query, **variables):
    body = await paired(sage, http)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    target = f"{sage.base_url}/service/X3CLOUDV2_SEED/graphQL"
    return await post(http, target, json={"query": query, "variables": variables or None}, headers=headers)


async def test_graphql_answers_the_documented_example(sage, http):
    """Two customers, data and extensions."""
    status, body = await graph(sage, http, QUERY)
    node = {"code": "AE1", "companyName": "An Enterprise 1"}
    assert (status, body["extensions"]) == (200, {})
    edges = body["data"]["sage"]["x3BusinessPartners"]["customer"]["edges"]
    assert edges == [{"node": node}, {"node": {"code": "AE2", "companyName": "An Enterprise 2"}}]


async def test_graphql_takes_variables_and_pages(sage, http):
    """``first`` and ``after`` as variables of a named query."""
    query = "query Q($n: Int!, $a: String) " + QUERY.replace("first: 2", "first: $n, after: $a")
    query = query.replace("edges", "totalCount pageInfo { endCursor hasNextPage } edges")
    _, body = await graph(sage, http, query, n=3, a="AE62")
    found = body["data"]["sage"]["x3BusinessPartners"]["customer"]
    assert [edge["node"]["code"] for edge in found["edges"]] == ["AE63", "AE64"]
    assert (found["totalCount"], found["pageInfo"]) == (64, {"endCursor": "AE64", "hasNextPage": False})


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "{ sage",
        "{ sage { nothing } }",
        "{ sage }",
        "{ ~ }",
        "{ 1 }",
        QUERY + "}",
        QUERY.replace("code", "code { x }"),
        QUERY.replace("first: 2", "last: 2"),
        QUERY.replace("first: 2", "first: 0"),
        QUERY.replace("first: 2", "first: $n"),
        QUERY.replace("first: 2", "first: {"),
        QUERY.replace("sage", "sage(x: 1)"),
        "{ a " * 60,
    ],
)
async def test_graphql_errors_are_400_with_messages(sage, http, query):
    """Whatever is wrong with the query comes as ``errors`` with a message each."""
    status, body = await graph(sage, http, query)
    assert (status, set(body)) == (400, {"errors", "extensions"})
    assert set(body["errors"][0]) == {"message"}
