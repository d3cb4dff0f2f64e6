"""Keep-alive where each tenant has a vendor of its own: a function says whose a record is, and the store has the last word."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from linkauth.engine.status import Status
from linkauth.errors import ConfigurationError, StoreUnavailable
from linkauth.oauth.token import Token
from linkauth.protocol.keys import round_key, token_key
from linkauth.protocol.records import TokenRecord
from linkauth.vendors.linkxg_user import LinkXGUser
from tests.engine.fakes import CLIENT, PAGE, USER, Store, Vendor, Worker, answer
from tests.engine.virtual import virtual, wall

WEEK = 7 * 86400.0
TENANTS = ("acme", "beta")


def of(tenant: str) -> LinkXGUser:
    return LinkXGUser(base_url=f"https://{tenant}.example/api/v1")


class App:
    """An app that knows which of its accounts is of which tenants."""

    def __init__(self, **tenants: tuple[str, ...]) -> None:
        self.tenants = tenants
        self.asked: list[Status] = []

    async def __call__(self, status: Status) -> list[LinkXGUser] | None:
        self.asked.append(status)
        await asyncio.sleep(0.1)  # a database
        return [of(tenant) for tenant in self.tenants[status.account]] if status.account in self.tenants else None


async def grown(store: Store, vendor: Vendor, app: App) -> None:
    """So many users of each tenant who logged in most of a week ago."""
    worker = Worker(store, vendor)
    for account, tenants in app.tenants.items():
        for tenant in tenants:
            await worker.credential(of(tenant), account).login(email="ada@example.com", password="correct horse")
    await asyncio.sleep(0.8 * WEEK)


@virtual
async def test_every_tenants_sessions_are_kept():
    """By a worker that never had them; one account is of two tenants, and each of its sessions is renewed at its own vendor."""
    store, vendor, app = Store(), Vendor(), App(ada=("acme",), bob=("beta", "acme"))
    await grown(store, vendor, app)
    assert await Worker(store, vendor).keep_alive(app, rounds=1) == 3
    assert vendor.counts["reuse"] == 0
    assert {(each.vendor, each.account) for each in app.asked} == {("linkxg-user", "ada"), ("linkxg-user", "bob")}
    assert all(each.refresh_expires_at and each.key.startswith("token/") for each in app.asked)
    newcomer = Worker(store, vendor)
    for account, tenants in app.tenants.items():
        for tenant in tenants:
            assert await newcomer.credential(of(tenant), account).token()


@virtual
async def test_a_vendor_that_is_not_the_records_renews_nothing():
    """A function that takes every record for one tenant's: that one alone is renewed, and nobody's token goes elsewhere."""
    store, vendor, app = Store(), Vendor(), App(ada=("acme",), bob=("beta",))
    await grown(store, vendor, app)
    assert await Worker(store, vendor).keep_alive(lambda _: of("acme"), rounds=1) == 1
    assert vendor.counts["/auth/refresh"] == 1


@virtual
async def test_it_is_asked_only_of_what_may_be_due():
    """Not of what was renewed a day ago, nor of what is a named vendor's, nor of a client's token, which no refresh token is beside."""
    store, vendor, app = Store(), Vendor(), App(ada=("acme",), bob=("beta",))
    worker = Worker(store, vendor)
    await grown(store, vendor, app)
    await worker.credential(of("beta"), "bob").refresh()
    await worker.credential(USER, "named").login(email="ada@example.com", password="correct horse")
    await worker.credential(CLIENT).token()
    app.asked.clear()
    await worker.keep_alive(USER, app, rounds=1)
    assert [each.account for each in app.asked] == ["ada"]


@virtual
async def test_what_lapses_only_by_the_vendors_word():
    """A stored token that does not say when it lapses: the vendor that the function gives has the ``refresh_lifetime``."""
    store, vendor = Store(), Vendor()
    page = attrs.evolve(PAGE, refresh_lifetime=WEEK)
    worker = Worker(store, vendor)
    key = token_key(page, "ada")
    token = Token(access_token="old", issued_at=wall(), expires_at=wall() + 60, refresh_token="stays")
    record = TokenRecord(vendor="page", account="ada", token=token)
    await store.inner.claim(key, "x", 1, 0, b"")
    await store.inner.commit(key, 1, worker.context.codec.close(key, 1, record))
    await asyncio.sleep(0.8 * WEEK)
    assert await worker.keep_alive(lambda _: PAGE, rounds=1) == 0
    vendor.fails(answer(200, {"access_token": "new", "token_type": "Bearer", "expires_in": 900}))
    assert await worker.keep_alive(lambda _: page, every=0.0, rounds=1) == 1


@virtual
async def test_one_that_fails_holds_up_no_other(caplog):
    """A function that raises, or gives what is no vendor, is told by its class, never in its words; the round goes on."""

    async def broken(status: Status) -> object:
        if status.account == "ada":
            raise RuntimeError("a password")
        return ["acme"] if status.account == "bob" else of("acme")

    store, vendor, app = Store(), Vendor(), App(ada=("acme",), bob=("acme",), eve=("acme",))
    await grown(store, vendor, app)
    assert await Worker(store, vendor).keep_alive(broken, rounds=1) == 1
    assert "broken failed: RuntimeError for linkxg-user/ada" in caplog.text
    assert "broken gave what is no vendor for linkxg-user/bob" in caplog.text
    assert "a password" not in caplog.text


@virtual
async def test_a_function_that_asks_the_store():
    """A store that is away when it does is waited for, as where the round asks; nothing is renewed twice."""

    async def of_stored(status: Status) -> LinkXGUser:
        if away:
            raise away.pop()
        return of("acme")

    away = [StoreUnavailable("away")]
    store, vendor, app = Store(), Vendor(), App(ada=("acme",))
    await grown(store, vendor, app)
    assert await Worker(store, vendor).keep_alive(of_stored, rounds=1) == 1
    assert (away, vendor.counts["/auth/refresh"]) == ([], 1)


@virtual
async def test_the_fleet_makes_one_round():
    """Workers that give the same function, or another instance of its class, agree on rounds; others make their own."""
    store, vendor, app = Store(), Vendor(), App(ada=("acme",))
    await grown(store, vendor, app)
    await Worker(store, vendor).keep_alive(App(), rounds=1)
    asked = len(app.asked)
    other = asyncio.create_task(Worker(store, vendor).keep_alive(app, every=3600.0, rounds=1))
    await asyncio.sleep(3000)
    assert len(app.asked) == asked
    assert await other == 1
    keys = [round_key([], names) for names in ((), ("a.f",), ("a.g",), ("a.f", "a.g"))]
    assert len(set(keys)) == 4
    assert round_key([], ("a.g", "a.f")) == keys[3]


@pytest.mark.parametrize("wrong", ["linkxg-user", 7, [USER]])
async def test_what_is_neither(wrong):
    """A name, or a list in place of its elements, is a mistake that is told at once."""
    with pytest.raises(ConfigurationError, match="keep_alive"):
        await Worker(Store(), Vendor()).keep_alive(wrong, rounds=1)
