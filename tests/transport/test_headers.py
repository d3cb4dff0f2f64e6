"""The headers of every token-side request, name by name: those of the vendor's page, linkauth's name, and HTTP's own.

Read where they arrive, off a socket: what a library adds on its own is seen here and nowhere else.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from linkauth import AuthEngine, LinkXG, LinkXGUser, vendors
from linkauth.engine.exchange import drive
from linkauth.oauth.discovery import discovery
from linkauth.oauth.exchange import Flow
from linkauth.oauth.token import Secret, Token
from linkauth.sandbox import Sandbox
from linkauth.transport import Transport
from linkauth.vendors import Dialect, Linkkit, OAuth2, Pending, SageX3, Vendor
from tests.loopback import raw, response

HTTPS_OWN = {"Host", "Accept-Encoding", "Connection"}
"""What HTTP itself asks for, and ``Content-Length`` with every POST. ``Connection: close``, for each goes alone."""
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
BASIC = {"Authorization": "Basic YzpjYW5hcnk="}
BEARER = {"Authorization": "Bearer canary-access"}
NOTHING: dict[str, str] = {}

TOKEN = Token(access_token="canary-access", refresh_token="canary-refresh", expires_at=1.0)
PENDING = Pending(redirect_uri="https://app.example/back", verifier="canary-verifier")
CLIENT = {"client_id": "c", "client_secret": "canary"}
ANSWERS = {
    "token": {"access_token": "canary-new", "token_type": "Bearer", "expires_in": 60},
    "user": {"success": True, "data": {"accessToken": "canary-new", "refreshToken": "canary-newer"}},
    "secret": {"client_secret": "canary-secret"},
    "metadata": {"issuer": "ROOT", "token_endpoint": "ROOT/token"},
}


def oauth2(root: str, auth: str, **more: Any) -> OAuth2:
    client = CLIENT if auth != "none" else {"client_id": "c"}
    page = {"authorize_url": f"{root}/authorize", "revoke_url": f"{root}/revoke"}
    return OAuth2(name="other", token_url=f"{root}/token", client_auth=auth, **{**client, **page, **more})


@attrs.frozen
class Case:
    """What one flow sends, request by request, besides ``Accept``, ``User-Agent`` and HTTP's own."""

    flow: Callable[[str], Flow[Any]]
    sends: list[dict[str, str]]
    answer: str = "token"
    kind: type[Vendor] | None = None
    """None: no vendor's flow."""
    method: str = ""
    auth: str = ""


def oauth2_cases() -> dict[str, Case]:
    """Each flow in each way that a client shows who it is."""
    made: dict[str, Case] = {}
    for auth in CLIENT_AUTHS:
        shown = FORM | (BASIC if auth == "basic" else NOTHING)
        flows: dict[str, tuple[Callable[[OAuth2], Flow[Any]], int]] = {
            "exchange": (lambda vendor: vendor.exchange({"code": "canary-code"}, PENDING), 1),
            "renew": (lambda vendor: vendor.renew(TOKEN), 1),
            "logout": (lambda vendor: vendor.logout(TOKEN), 2),
        }
        for method, (flow, times) in flows.items():
            made[f"oauth2 {auth} {method}"] = Case(
                lambda root, flow=flow, auth=auth: flow(oauth2(root, auth)), [shown] * times, kind=OAuth2,
                method=method, auth=auth,
            )  # fmt: skip
        if auth != "none":
            made[f"oauth2 {auth} machine"] = Case(
                lambda root, auth=auth: oauth2(root, auth, authorize_url=None).renew(None), [shown], kind=OAuth2,
                method="renew", auth=auth,
            )  # fmt: skip
    own = {"token_headers": {"User-Agent": "web:app:1", "Accept": "application/vnd.x+json", "X-Key": "canary"}}
    for name, auth, dialect, sends in (
        ("json", "basic", {"body": "json"}, JSON | BASIC),
        ("plain basic", "basic", {"basic": "plain", "id_in_body": True}, FORM | BASIC),
        ("headers", "post", own, FORM | own["token_headers"]),
    ):
        made[f"oauth2 {name}"] = Case(
            lambda root, auth=auth, dialect=dialect: oauth2(root, auth, dialect=Dialect(**dialect)).renew(TOKEN),
            [sends], kind=OAuth2, method="renew", auth=auth,
        )  # fmt: skip
    return made


# The field's type as it is written: Literal["post", …].
CLIENT_AUTHS = re.findall(r"'(\w+)'", str(attrs.fields(OAuth2).client_auth.type))


def linkxg(root: str) -> LinkXG:
    return LinkXG(**CLIENT, base_url=root)


def user(root: str) -> LinkXGUser:
    return LinkXGUser(base_url=root)


def linkkit(root: str) -> Linkkit:
    return Linkkit(**CLIENT, base_url=root)


def sage(root: str) -> SageX3:
    return SageX3(**CLIENT, base_url=root, customer="https://x3.example")


CASES: dict[str, Case] = {
    "linkxg renew": Case(lambda root: linkxg(root).renew(None), [FORM], kind=LinkXG, method="renew"),
    "linkxg rotate": Case(
        lambda root: linkxg(root).rotate_secret(TOKEN), [BEARER], "secret", kind=LinkXG, method="rotate_secret"
    ),
    "user login": Case(
        lambda root: user(root).login("a@b.example", Secret("canary")), [JSON], "user", kind=LinkXGUser, method="login"
    ),
    "user renew": Case(lambda root: user(root).renew(TOKEN), [JSON], "user", kind=LinkXGUser, method="renew"),
    "user logout": Case(lambda root: user(root).logout(TOKEN), [BEARER], "user", kind=LinkXGUser, method="logout"),
    "linkkit exchange": Case(
        lambda root: linkkit(root).exchange({"code": "canary-code"}, PENDING), [FORM], kind=Linkkit, method="exchange"
    ),
    "linkkit renew": Case(lambda root: linkkit(root).renew(TOKEN), [FORM], kind=Linkkit, method="renew"),
    "sage exchange": Case(
        lambda root: sage(root).exchange({"authorizationCode": "canary-code"}, PENDING), [JSON], kind=SageX3,
        method="exchange",
    ),
    "sage renew": Case(lambda root: sage(root).renew(TOKEN), [JSON], kind=SageX3, method="renew"),
    **oauth2_cases(),
    "discovery": Case(discovery, [NOTHING], "metadata"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_request_carries_what_the_page_shows(case):
    """Every name that arrives is the page's, HTTP's own or linkauth's; every value of the page is as it stands there."""

    async def talk(server, reader, writer):
        while await server.request(reader):
            body = json.dumps(ANSWERS[case.answer]).replace("ROOT", server.url).encode()
            writer.write(response(body, "200 OK", "Content-Type: application/json"))
            await writer.drain()

    async with raw(talk) as server:
        transport = Transport()
        await drive(case.flow(server.url), lambda request: transport.send(request, 60))
    assert len(server.heard) == len(case.sends)
    for heard, page in zip(server.heard, case.sends, strict=True):
        first, *lines = heard.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        names = [line.partition(": ")[0] for line in lines]
        found = dict(line.split(": ", 1) for line in lines)
        own = HTTPS_OWN | ({"Content-Length"} if first.startswith("POST") else set())
        assert sorted(names) == sorted(own | {"Accept", "User-Agent"} | page.keys())
        assert {name: found[name] for name in page} == page
        assert found["Accept"] == page.get("Accept", "application/json")
        assert found["User-Agent"] == page.get("User-Agent", f"linkauth/{linkauth_version()}")


def linkauth_version() -> str:
    from importlib.metadata import version

    return version("linkauth")


def kinds() -> list[type[Vendor]]:
    """Every vendor that linkauth has; what vendors are made of has no name."""
    for found in pkgutil.walk_packages(vendors.__path__, f"{vendors.__name__}."):
        importlib.import_module(found.name)
    seen, rest = set(), [Vendor]
    while rest:
        rest += (inner := rest.pop()).__subclasses__()
        seen.add(inner)
    return [kind for kind in seen if kind.__module__.startswith(f"{vendors.__name__}.") and hasattr(kind, "name")]


def flows() -> list[str]:
    """The names of what a vendor may do with requests, as ``Vendor`` has them."""
    methods = inspect.getmembers(Vendor, inspect.isfunction)
    return [name for name, method in methods if str(inspect.get_annotations(method).get("return")).startswith("Flow")]


def test_no_vendor_and_no_flow_is_forgotten():
    """Whoever adds one adds its headers here."""
    there = {(kind, name) for kind in kinds() for name in flows() if getattr(kind, name) is not getattr(Vendor, name)}
    assert {"renew", "login", "exchange", "logout", "rotate_secret"} <= set(flows())
    assert {LinkXG, LinkXGUser, Linkkit, SageX3, OAuth2} <= set(kinds())
    assert there == {(case.kind, case.method) for case in CASES.values() if case.kind}
    assert {"post", "basic", "none"} <= set(CLIENT_AUTHS)


def strict() -> web.Application:
    """As a stock Fastify server: a content type that it has no parser for is answered with 415, body or none."""

    @web.middleware
    async def look(request: web.Request, handler: Any) -> web.StreamResponse:
        if "Content-Type" in request.headers and not request.can_read_body:
            return web.json_response({"statusCode": 415, "error": "Unsupported Media Type"}, status=415)
        return await handler(request)

    def says(body: object) -> Any:
        async def handle(_: web.Request) -> web.Response:
            return web.json_response(body)

        return handle

    app = web.Application(middlewares=[look])
    app.router.add_post("/oauth/token", says(ANSWERS["token"]))
    app.router.add_post("/oauth/clients/c/rotate", says(ANSWERS["secret"]))
    app.router.add_post("/auth/login", says(ANSWERS["user"]))
    app.router.add_post("/auth/logout", says({"success": True}))
    return app


async def test_a_strict_server_takes_what_has_no_body():
    """``rotate_secret()`` and ``logout()`` have neither body nor content type."""
    async with TestServer(strict()) as server, AuthEngine() as engine:
        root = str(server.make_url("")).rstrip("/")
        await engine.credential(linkxg(root)).rotate_secret()
        found = engine.credential(user(root))
        await found.login(email="a@b.example", password="canary")
        await found.logout()


async def test_the_sandbox_is_as_strict():
    """A content type on an empty POST is answered with 415, by every part of it; without one it looks at the request."""
    async with Sandbox() as sandbox, ClientSession() as session:
        for part in sandbox.parts.values():
            posts = {each.path for each in part.endpoints() if each.method == "POST"}
            for path in posts:
                url = part.base_url + re.sub(r"\{\w+\}", "any", path)
                async with session.post(url, headers=JSON) as answer:
                    assert answer.status == 415
                async with session.post(url, skip_auto_headers=["Content-Type"]) as answer:
                    assert answer.status in {400, 401, 404}
