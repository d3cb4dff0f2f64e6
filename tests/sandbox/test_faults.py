"""The faults that a test can ask for, and the doors by which it asks."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
import sys

import aiohttp
import pytest

from linkauth.cli.parser import parser
from linkauth.sandbox import Sandbox, describe, summary
from linkauth.sandbox.program import commands
from tests.sandbox.talk import get, post


@pytest.fixture
def linkxg(sandbox):
    return sandbox.linkxg


def fields(linkxg):
    return {"grant_type": "client_credentials", "client_id": linkxg.client_id, "client_secret": linkxg.client_secret}


def send(linkxg, http):
    return http.post(f"{linkxg.base_url}/oauth/token", data=fields(linkxg), allow_redirects=False)


async def status(linkxg, http):
    async with send(linkxg, http) as response:
        return response.status


async def test_failing_so_many_times_and_for_ever(linkxg, http):
    """``times`` counts, None is for ever, ``skip`` lets the first ones pass; nobody is issued a token meanwhile."""
    linkxg.fault(status=500, times=2)
    linkxg.fault(status=503, skip=1, times=None)
    assert [await status(linkxg, http) for _ in range(5)] == [500, 500, 200, 503, 503]
    linkxg.faults.clear()
    assert await status(linkxg, http) == 200
    assert (linkxg.counts["tokens"], linkxg.counts["token_requests"]) == (2, 6)
    assert linkxg.counts["status_503"] == 2


async def test_too_many_requests_says_when_to_come_back(linkxg, http):
    """429 with Retry-After."""
    linkxg.fault(status=429, retry_after=7)
    async with send(linkxg, http) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")


async def test_endpoints_are_told_apart(linkxg, http):
    """A fault of one endpoint, of all calls with a token, or of everything."""
    linkxg.fault("products", status=500)
    linkxg.fault("api", status=501)
    linkxg.fault("*", status=502)
    assert [await status(linkxg, http) for _ in range(2)] == [502, 200]
    for wanted in (500, 501, 401):
        async with http.get(f"{linkxg.base_url}/products") as response:
            assert response.status == wanted


@pytest.mark.parametrize("acts", [False, True])
async def test_connection_drops_before_or_after_acting(linkxg, http, acts):
    """Never heard, or done and the answer lost: the caller cannot tell, the counters can."""
    linkxg.fault(drop=True, act=acts)
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(linkxg, http)
    assert (linkxg.counts["dropped"], linkxg.counts["tokens"]) == (1, int(acts))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_holding_without_sleeping(linkxg, http, when):
    """Requests wait until they are let go, before the vendor acts or after; how many came at once is counted."""
    with linkxg.hold(when=when) as held:
        tasks = [asyncio.create_task(status(linkxg, http)) for _ in range(3)]
        await held.arrived(3)
        while when == "after" and linkxg.counts["tokens"] < 3:  # noqa: ASYNC110  # a counter rings no bell
            await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        assert linkxg.counts["tokens"] == (3 if when == "after" else 0)
    assert await asyncio.gather(*tasks) == [200, 200, 200]
    assert await status(linkxg, http) == 200
    assert linkxg.counts["token_at_once"] == 3


async def test_delay(linkxg, http):
    """A slow answer comes all the same."""
    linkxg.fault(delay=0.05)
    begun = asyncio.get_running_loop().time()
    assert await status(linkxg, http) == 200
    assert asyncio.get_running_loop().time() - begun >= 0.05


async def test_bodies_that_nobody_documents(linkxg, http):
    """HTML, what is not JSON, and 20 MB."""
    linkxg.fault(body="<h1>Bad gateway</h1>", status=502)
    linkxg.fault(body="{not json", content_type="application/json")
    linkxg.fault(size=20_000_000)
    async with send(linkxg, http) as response:
        assert (response.status, response.content_type) == (502, "text/html")
    async with send(linkxg, http) as response:
        assert await response.read() == b"{not json"
    async with send(linkxg, http) as response:
        assert len(await response.read()) > 20_000_000
    assert linkxg.counts["tokens"] == 0


async def test_answers_with_wrong_members(linkxg, http):
    """Members changed and left out, inside an envelope too; the vendor has acted."""
    linkxg.fault(members={"expires_in": "900"}, without=["token_type"])
    async with send(linkxg, http) as response:
        body = await response.json()
    assert body["expires_in"] == "900"
    assert "token_type" not in body
    linkxg.fault("login", members={"data.user": 7}, without=["data.refreshToken"])
    _, body = await post(
        http, f"{linkxg.base_url}/auth/login", json={"email": linkxg.email, "password": linkxg.password}
    )
    assert body["data"].keys() == {"accessToken", "user"}
    assert body["data"]["user"] == 7


async def test_redirect_to_another_origin_is_counted_there(sandbox, linkxg, http):
    """A 307 at the token endpoint takes the secret along, if the client follows: ``elsewhere`` tells."""
    linkxg.fault(location=sandbox.elsewhere.base_url + "/token", times=2)
    assert await status(linkxg, http) == 307
    async with http.post(f"{linkxg.base_url}/oauth/token", data=fields(linkxg)) as response:
        assert response.status == 200
    assert sandbox.elsewhere.counts["with_body"] == 1
    assert sandbox.elsewhere.counts["with_authorization"] == 0
    await get(http, sandbox.elsewhere.base_url + "/x", "token")
    assert sandbox.elsewhere.counts["with_authorization"] == 1


async def test_short_lifetimes(sandbox, linkxg, http):
    """Half a second is said as it is, and lasts as long."""
    linkxg.settings.token_lifetime = 0.5
    async with send(linkxg, http) as response:
        body = await response.json()
    assert body["expires_in"] == 0.5
    sandbox.advance(0.5)
    assert (await get(http, f"{linkxg.base_url}/products", body["access_token"]))[0] == 401


async def test_access_tokens_can_be_withdrawn(linkxg, http):
    """A 401 storm: every access token is unknown at once."""
    async with send(linkxg, http) as response:
        bearer = (await response.json())["access_token"]
    linkxg.tokens.revoke_access()
    assert (await get(http, f"{linkxg.base_url}/products", bearer))[0] == 401


async def test_control_from_outside(sandbox, linkxg, http):
    """Settings, faults, time and reset by JSON; the answer is the counters."""
    fault = {"endpoint": "token", "status": 500}
    orders = {"advance": 100, "linkxg": {"settings": {"token_lifetime": 2}, "faults": [fault, fault]}}
    before = sandbox.clock()
    assert (await post(http, f"{sandbox.url}/_control", json=orders))[0] == 200
    assert sandbox.clock() - before >= 100
    assert await status(linkxg, http) == 500
    assert (await get(http, f"{sandbox.url}/counters"))[1]["linkxg"]["status_500"] == 1
    await post(http, f"{sandbox.url}/_control", json={"linkxg": {"clear": True}})
    async with send(linkxg, http) as response:
        assert (await response.json())["expires_in"] == 2
    assert (await post(http, f"{sandbox.url}/_control", json={"reset": True}))[1]["linkxg"] == {}
    async with send(linkxg, http) as response:
        bearer = (await response.json())["access_token"]
    await post(http, f"{sandbox.url}/_control", json={"linkxg": {"revoke_access": True, "faults": [{"hold": True}]}})
    assert (await get(http, f"{linkxg.base_url}/products", bearer))[0] == 401
    task = asyncio.create_task(status(linkxg, http))
    await post(http, f"{sandbox.url}/_control", json={"linkxg": {"release": "token"}})
    assert await task == 200


@pytest.mark.parametrize(
    "orders",
    [
        {"linkgx": {}},
        {"linkxg": {"setings": {}}},
        {"linkxg": {"settings": {"lifetime": 2}}},
        {"linkxg": {"faults": [{"endpiont": "token"}]}},
        {"advance": "soon"},
        [],
    ],
)
async def test_control_refuses_what_it_does_not_know(sandbox, http, orders):
    """A slip of the pen is a 400, not a fault that never happens."""
    assert (await post(http, f"{sandbox.url}/_control", json=orders))[0] == 400


async def test_control_takes_json_alone(sandbox, http):
    """No page in a browser can post here: JSON needs the server's leave across origins."""
    assert (await post(http, f"{sandbox.url}/_control", data='{"reset": true}'))[0] == 400


async def test_slips_in_settings_are_errors(sandbox):
    """An unknown setting or vendor is refused wherever it is given."""
    with pytest.raises(AttributeError):
        sandbox.linkxg.settings.token_lifetimes = 2
    with pytest.raises(TypeError):
        Sandbox(linkxg={"token_lifetimes": 2})
    with pytest.raises(ValueError, match="linkgx"):
        Sandbox(linkgx={})
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host="0.0.0.0")  # the point of the test


async def test_page_of_counters(sandbox, linkxg, http):
    """Plain, with a language and a title, and no secret."""
    await status(linkxg, http)
    async with http.get(sandbox.url) as response:
        text = await response.text()
    assert '<html lang="en">' in text
    assert "<title>linkauth sandbox</title>" in text
    assert '<th scope="row">token_requests</th><td>1</td>' in text
    assert linkxg.client_secret not in text


async def test_each_vendor_can_have_an_origin_of_its_own(http):
    """``separate``: four origins, and each works."""
    async with Sandbox(separate=True) as sandbox:
        assert len({sandbox.parts[name].origin for name in ("linkxg", "linkkit", "sagex3", "oauth2")}) == 4
        assert await status(sandbox.linkxg, http) == 200
        assert (await get(http, sandbox.sagex3.base_url))[0] == 200


async def test_clock_is_the_callers(http):
    """Time stands still unless it is put forward."""
    async with Sandbox(clock=lambda: 1000.0) as sandbox:
        assert sandbox.clock() == 1000
        sandbox.advance(5)
        assert sandbox.clock() == 1005


async def test_closing_lets_go_what_is_held(http):
    """A test that forgets to release does not hang."""
    async with Sandbox() as sandbox:
        held = sandbox.linkxg.hold()
        task = asyncio.create_task(status(sandbox.linkxg, http))
        await held.arrived()
    assert await task == 200


async def test_nothing_is_logged(sandbox, http, caplog):
    """No secret and no token in any log record at DEBUG."""
    caplog.set_level(logging.DEBUG)
    async with send(sandbox.linkxg, http) as response:
        bearer = (await response.json())["access_token"]
    sandbox.linkxg.fault(drop=True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await status(sandbox.linkxg, http)
    said = caplog.text + repr(sandbox.linkxg.settings) + repr(sandbox.linkxg.clients) + repr(sandbox.linkxg.users)
    assert bearer not in said
    assert sandbox.linkxg.client_secret not in said
    assert sandbox.linkxg.password not in said


async def test_described_for_every_vendor(sandbox):
    """What to type names each vendor's URL and client."""
    text = describe(sandbox)
    for part in (sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2):
        assert part.base_url in text
        assert part.client_id in text
    assert json.loads(json.dumps(summary(sandbox)))["linkxg"]["base_url"] == sandbox.linkxg.base_url


@pytest.mark.blocking  # argparse looks for translations
async def test_what_to_type_is_what_linkauth_takes(sandbox):
    """Each printed command passes the command line's own parser."""
    for vendor, command in commands(sandbox).items():
        assigned, program, *words = shlex.split(command)
        assert re.fullmatch(r"LINKAUTH_(CLIENT_SECRET|PASSWORD)=\S+", assigned)
        assert program == "linkauth"
        assert parser().parse_args(words).vendor == vendor


async def test_program_runs_until_it_is_stopped(http):
    """Its first line tells a parent where all is; SIGTERM ends it with status 0."""
    command = [
        sys.executable,
        "-m",
        "linkauth.sandbox",
        "--port",
        "0",
        "--json",
        "--set",
        '{"linkxg": {"token_limit": 1}}',
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        told = json.loads(await process.stdout.readline())["linkxg"]
        grant = {"grant_type": "client_credentials", "client_id": told["client_id"]}
        data = {**grant, "client_secret": told["client_secret"]}
        assert [(await post(http, f"{told['base_url']}/oauth/token", data=data))[0] for _ in range(2)] == [200, 429]
    finally:
        process.terminate()
    assert await process.wait() == 0
