"""``linkauth status`` and ``token --json``: to be read by people at a thousand credentials, and by programs."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from linkauth import AuthEngine, OAuth2

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking


def vendor(name: str, client_id: str = "c", scope: str = "read") -> OAuth2:
    return OAuth2(
        name=name, client_id=client_id, scope=scope, refresh_lifetime=30 * 86_400,
        token_url=f"https://{name}.example/t", authorize_url=f"https://{name}.example/a",
    )  # fmt: skip


@pytest.fixture
def filled(store: str) -> str:
    """Four sessions at two vendors, two of which differ in client and scope alone, and one is over."""

    async def fill() -> None:
        async with AuthEngine(store) as engine:
            for one, account in (
                (vendor("zeta"), "ada"),
                (vendor("acme", scope="write"), "bob"),
                (vendor("acme", client_id="other"), "bob"),
                (vendor("acme"), "a-long-name"),
            ):
                now = engine.context.clock.store_now()
                await engine.credential(one, account).adopt(
                    access_token="at", refresh_token="rt", expires_at=now + 3610
                )
            await engine.credential(vendor("zeta"), "ada").logout()

    asyncio.run(fill())
    return store


def test_status_is_sorted_aligned_and_tells_apart(here: Any, filled: str) -> None:
    """By vendor and account; columns below one another; client and scope where two look alike; how many there are."""
    ended = here("status", "--store", filled)
    assert ended.status == 1
    *lines, ada, total = ended.out.splitlines()
    assert [line.partition("  token")[0].rstrip() for line in lines] == [
        "acme/a-long-name",
        "acme/bob (client c, scope write)",
        "acme/bob (client other, scope read)",
    ]
    assert len({line.index("token for 60 min") for line in lines}) == 1
    assert len({line.index("refresh token for 30 d") for line in lines}) == 1
    assert ada.startswith("zeta/ada ")
    assert ada.endswith("  THE USER MUST LOG IN OR PAIR AGAIN  logged out")
    assert total == "In all: acme 3, zeta 1"


@pytest.mark.parametrize(
    ("options", "found", "status"),
    [
        (["--vendor", "acme"], ["a-long-name", "bob", "bob"], 0),
        (["--account", "bob"], ["bob", "bob"], 0),
        (["--vendor", "acme", "--account", "bob"], ["bob", "bob"], 0),
        (["--needs-user"], ["ada"], 1),
        (["--needs-user", "--vendor", "acme"], [], 0),
    ],
)
def test_status_of_some(here: Any, filled: str, options: list[str], found: list[str], status: int) -> None:
    """Of a vendor, an account, or of what needs its user; the exit status is of what was asked for."""
    ended = here("status", "--store", filled, "--json", *options)
    assert ([json.loads(line)["account"] for line in ended.out.splitlines()], ended.status) == (found, status)
    if not found:
        told = here("status", "--store", filled, *options).well()
        assert told == "The store holds no such credential that needs its user.\n"


def test_a_token_as_json(here: Any, vendors: Vendors, store: str) -> None:
    """For programs: until when, which scope, a fingerprint; the token itself with --reveal alone."""
    how = ["token", *vendors.options("linkxg"), "--store", store, "--scope", "products:read", "--json"]
    told = json.loads(here(*how, **vendors.secrets("linkxg")).well())
    assert told.keys() == {"expires_at", "scope", "fingerprint"}
    assert told["scope"] == "products:read"
    revealed = json.loads(here(*how, "--reveal", **vendors.secrets("linkxg")).well())
    assert revealed.pop("access_token").count(".") == 2
    assert revealed == told


def test_a_token_that_never_expires(here: Any, store: str) -> None:
    """It is good without end, and not for millions of days."""
    for_ever = attrs.evolve(vendor("acme"), lifetime=math.inf)

    async def fill() -> None:
        async with AuthEngine(store) as engine:
            await engine.credential(for_ever).adopt(access_token="at")

    asyncio.run(fill())
    assert here("status", "--store", store).well() == "acme/default  token without end\n"
