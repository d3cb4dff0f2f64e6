"""Every page that linkauth makes, for people and tools to look at: the landing pages, the operator's page, the sandbox's.

What the landing pages are is read from the code: each that a name stands for, each that an error leads to, each reason why a callback
cannot be read. The operator's and the sandbox's are asked for over HTTP; ``places`` finds in the sources where a page is made, and ``watch`` tells which of them were gone through.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import linkauth
from linkauth import AuthEngine
from linkauth.engine.status import Status
from linkauth.errors import LinkAuthError, OAuthError
from linkauth.sandbox import Sandbox
from linkauth.web import ENGLISH, Look, landing, status_app, status_page
from linkauth.web.landing import Landing, bad_callback, failure
from tests.web.kept import DAY, Store, keep

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
"""A name that fits on no phone."""
LOGO = (
    "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'%20width='900'%20height='200'%3E"
    "%3Ccircle%20cx='100'%20cy='100'%20r='90'%20fill='%23fff'/%3E%3C/svg%3E"
)
ARABIC = {
    **{key: f"{word} ✓ عربي" for key, word in ENGLISH.items() if key not in {"lang", "dir"}},
    "lang": "ar",
    "dir": "rtl",
}
LOOKS = {
    "plain": Look(),
    "dark blue, a logo, from right to left": Look(colour="#003366", logo=LOGO, words=ARABIC),
    "yellow, a logo": Look(colour="#fe0", logo="/static/logo.svg"),
    "a logo alone": Look(logo=LOGO, words={"logo": "The app"}),
}


@attrs.frozen
class Shown:
    """One page as it was answered."""

    name: str
    text: str
    policy: str
    """Its ``Content-Security-Policy``."""


# The landing pages.


def every_kind(kind: type[LinkAuthError]) -> list[type[LinkAuthError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every_kind(child))]


def landings() -> dict[str, Landing]:
    """Each that there can be, by what it says."""
    errors = [kind([]) if kind.__name__ == "GraphQLError" else kind() for kind in every_kind(LinkAuthError)]
    spoken = [kind("error", f"{LONG} <b>no</b>") for kind in every_kind(OAuthError) if "__init__" not in vars(kind)]
    found = [one for one in vars(landing).values() if isinstance(one, Landing)]
    found += [failure(error) for error in errors + spoken]
    found += [bad_callback(400, key.partition(".")[2]) for key in ENGLISH if key.startswith("no-answer.")]
    return {f"{one.says or one.name}{', spoken' if one.words else ''}": one for one in found}


async def landing_pages(look: Look) -> AsyncIterator[Shown]:
    """Each of them, for a vendor whose name is long and one whose name is not."""
    for name, one in landings().items():
        answer = one.page("Sage X3" if one.again else LONG, "https://app.example/connect/sagex3", look)
        yield Shown(name, answer.text, answer.headers["Content-Security-Policy"])


# The operator's page.


async def operators_pages() -> AsyncIterator[Shown]:
    """Empty, full, filtered, in every state, for somebody else, without its store."""
    store, may = Store(), [True]
    async with AuthEngine(store) as engine:
        app = web.Application()
        links = {"connect_url": lambda status: f"https://app.example/connect/{status.vendor}?for={status.account}"}
        app.add_subapp("/connections", status_app(engine, allowed=lambda _: may[0], **links))
        async with TestClient(TestServer(app)) as client:

            async def shown(name: str, query: str = "") -> Shown:
                async with client.get(f"/connections{query}") as response:
                    policy = response.headers["Content-Security-Policy"]
                    return Shown(name, await response.text(), policy)

            yield await shown("empty")
            await keep(engine, "user000", dead="the refresh token was refused")
            await keep(engine, LONG)
            yield await shown("filtered", "?state=needs-user&account=USER")
            yield await shown("nothing found", f"?account=nobody&vendor={LONG}")
            async with client.post("/connections") as response:
                yield Shown("by POST", await response.text(), response.headers["Content-Security-Policy"])
            async with client.get("/connections/other") as response:
                yield Shown("elsewhere", await response.text(), response.headers["Content-Security-Policy"])
            may[0] = False
            yield await shown("for somebody else")
            may[0], store.away = True, True
            yield await shown("the store is away")
    policy = status_page.HEADERS["Content-Security-Policy"]
    yield Shown("every state", operators_page(every_state()), policy)
    yield Shown("full", operators_page([{"account": f"user{number:03}"} for number in range(250)], page=2), policy)


def operators_page(found: list[dict[str, Any]], page: int = 1) -> str:
    """The page for credentials that are otherwise than usual by these fields."""
    base = Status(
        vendor="linkkit", account="ada", client_id="app", key="token/1", version=1, scope="links:read", now=2e9
    )
    shown = status_page.Found(status_page.Wanted(page=page))
    for number, more in enumerate(found):
        shown.add(attrs.evolve(base, **{"key": f"token/{number}", **more}))
    return status_page.page(shown, {"token/1": f"https://app.example/connect?for={LONG}"})


def every_state() -> list[dict[str, Any]]:
    """Credentials, a secret and a broken record, in each state there is."""
    return [
        {"expires_at": 2e9 + 900, "refresh_expires_at": 2e9 + DAY, "key_id": "d7a73e96"},
        {"needs_user": True, "error": "the user logged out"},
        {"session_ends_soon": True, "session_expires_at": 2e9 + 3 * DAY},
        {"error": "503", "retry_at": 2e9 + 30},
        {"in_doubt": True},
        {"account": "", "key": "secret/1", "secret_rotated_at": 1.9e9},
        {"account": "", "key": "answer/1", "error": "the answer to a rotation, in which no secret was recognised"},
        {"account": "", "key": f"token/{LONG}", "error": f"record token/{LONG} is encrypted"},
        {"account": LONG, "scope": LONG, "client_id": LONG},
    ]


# The sandbox's pages.


@asynccontextmanager
async def at_the_sandbox() -> AsyncIterator[tuple[Sandbox, Any]]:
    anywhere = {"loopback_redirects": True}
    async with Sandbox(linkkit=anywhere, sagex3=anywhere, oauth2=anywhere) as sandbox, aiohttp.ClientSession() as http:

        async def shown(name: str, method: str, url: str, **how: Any) -> Shown:
            async with http.request(method, url, allow_redirects=False, **how) as response:
                policy = response.headers["Content-Security-Policy"]
                # Without the one script that may run: a page that is left at once cannot be looked at.
                policy = re.sub(" script-src [^;]*;", "", policy)
                return Shown(name, await response.text(), policy)

        yield sandbox, shown


async def sandbox_pages() -> AsyncIterator[Shown]:
    """The page of counters, and of each vendor: consent, what cannot be answered, what was answered before, and the way back."""
    async with at_the_sandbox() as (sandbox, shown):
        yield await shown("nothing yet", "GET", sandbox.url)
        back = {"redirect_uri": "http://127.0.0.1:1/callback", "state": "1234"}
        for part, url, answer in (
            (sandbox.linkkit, f"{sandbox.linkkit.base_url}/oauth/authorize", "/oauth/authorize/answer"),
            (sandbox.oauth2, sandbox.oauth2.authorize_url, "/authorize/answer"),
        ):
            pkce = {"code_challenge": "A" * 43, "code_challenge_method": "S256"}
            asked = {"response_type": "code", "client_id": part.client_id, **pkce, **back}
            yield await shown(f"{part.name}: consent", "GET", url, params=asked)
            yield await shown(f"{part.name}: wrong client", "GET", url, params={**asked, "client_id": LONG})
            yield await shown(f"{part.name}: twice", "GET", f"{url}?client_id=a&client_id=b")
            with part.fault("authorize", status=503):
                yield await shown(f"{part.name}: away", "GET", url, params=asked)
            yield await shown(f"{part.name}: answered before", "POST", f"{part.base_url}{answer}", data={"ticket": "x"})
        scoped = {
            "response_type": "code",
            "client_id": sandbox.linkkit.client_id,
            "scope": f"links:read {LONG}",
            **back,
        }
        yield await shown("linkkit: scopes", "GET", f"{sandbox.linkkit.base_url}/oauth/authorize", params=scoped)
        async for page in pairing_pages(sandbox, shown, back):
            yield page
        yield await shown("counters", "GET", sandbox.url)


async def pairing_pages(sandbox: Sandbox, shown: Any, back: dict[str, str]) -> AsyncIterator[Shown]:
    sage = sandbox.sagex3
    asked = {"client_id": sage.client_id, "scope": "businessDomain.ALL api.graphQL", "customer": sage.customer, **back}

    def pairing() -> str:
        return f"{sage.base_url}/token/authorise/{list(sage.pairings)[-1]}"

    yield await shown("sagex3: pending", "GET", f"{sage.base_url}/token/authorise", params=asked)
    yield await shown("sagex3: come back later", "GET", pairing())
    yield await shown("sagex3: no folder", "POST", pairing(), data={"answer": "accept"})
    yield await shown("sagex3: back to the app", "POST", pairing(), data={"answer": "accept", "folder": "SEED"})
    yield await shown("sagex3: over", "GET", pairing())
    async with TestServer(web.Application()) as app:  # which knows no callback, and is told all the same
        sage.settings.callback = "json"
        asked["redirect_uri"] = str(app.make_url("/callback"))
        yield await shown("sagex3: asked for JSON", "GET", f"{sage.base_url}/token/authorise", params=asked)
        yield await shown("sagex3: told", "POST", pairing(), data={"answer": "reject"})


SORTS: dict[str, Callable[[], AsyncIterator[Shown]]] = {
    **{f"landing, {name}": partial(landing_pages, look) for name, look in LOOKS.items()},
    "operator": operators_pages,
    "sandbox": sandbox_pages,
}


async def every_page() -> list[Shown]:
    """All of them."""
    return [page for pages in SORTS.values() async for page in pages()]


# Where they are made.

MAKERS = {"document", "message", "page", "posting"}
"""The functions that make a page."""
ROOMS = ("web", "sandbox", "cli")
HOME = Path(linkauth.__file__).parent


def places() -> set[str]:
    """Where in the sources a page is made, as file and line."""
    files = [file for room in ROOMS for file in (HOME / room).rglob("*.py")]
    return {f"{file}:{line}" for file in files for line in lines(file.read_text())}


def lines(source: str) -> list[int]:
    """The lines of one source file in which a page is made."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id in MAKERS]


def watch(patch: pytest.MonkeyPatch) -> set[str]:
    """The places that have made a page from now on, as they do."""
    gone: set[str] = set()

    def watched(make: Any) -> Any:
        def made(*args: Any, **more: Any) -> Any:
            caller = sys._getframe(1)
            gone.add(f"{caller.f_code.co_filename}:{caller.f_lineno}")
            return make(*args, **more)

        return made

    for module in [
        module for name, module in sys.modules.items() if name.split(".")[:2] in [["linkauth", room] for room in ROOMS]
    ]:
        for name in MAKERS & vars(module).keys():
            patch.setattr(module, name, watched(vars(module)[name]))
    return gone
