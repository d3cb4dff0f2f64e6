"""``linkauth.blocking`` in one process: the names of the async engine without ``await``, for any number of threads."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

import linkauth
from linkauth import blocking
from linkauth.errors import ConfigurationError, ReauthorizationRequired
from linkauth.vendors import LinkXG

NOT_THERE = {"session", "cleanup_ctx", "open", "leave", "aclose", "pending"}
"""What an event loop is needed for, and what the two parts of linkauth say to one another."""
INNARDS = {"rotate_secret_if", "unread_answer", "must_stay", "forget", "in_vain", "is_stuck", "ready"}


@pytest.mark.parametrize("name", ["AuthEngine", "Credential"])
def test_it_has_the_names_and_arguments_of_the_async_one(name):
    """A name or an argument that joins there is missed here."""
    theirs, ours = getattr(linkauth, name), getattr(blocking, name)
    names = {each for each, _ in inspect.getmembers(theirs, inspect.isfunction) if not each.startswith("_")}
    for each in names - NOT_THERE - INNARDS:
        there, here = (inspect.signature(getattr(one, each)).parameters for one in (theirs, ours))
        assert list(here.values()) == list(there.values()), each
    if name == "AuthEngine":
        there, here = (inspect.signature(one.__init__).parameters for one in (theirs, ours))
        assert list(here.values()) == list(there.values())


@pytest.fixture
def linkxg(sandbox):
    part = sandbox.linkxg
    return LinkXG(client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url)


async def test_many_threads_share_one_token_request(sandbox, linkxg):
    """Forty threads ask at once, before there is a token: one request, forty times the same token, and the same object for each."""
    start = threading.Barrier(40)

    def ask(engine):
        start.wait()
        credential = engine.credential(linkxg)
        return credential.token(), credential

    def all_of_them():
        found = []
        with blocking.AuthEngine() as engine:
            threads = [threading.Thread(target=lambda: found.append(ask(engine))) for _ in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return found

    found = await asyncio.to_thread(all_of_them)
    assert (len(found), len({token.access_token for token, _ in found})) == (40, 1)
    assert len({credential for _, credential in found}) == 1
    assert sandbox.linkxg.counts["tokens"] == 1


async def test_a_user_is_connected_and_everything_is_told_of_him(sandbox, vendor, tmp_path):
    """A whole life, from a script: sent to the vendor, completed, renewed, looked up, logged out; ``statuses`` may be left early."""

    def life():
        with blocking.AuthEngine(f"file:{tmp_path / 'tokens'}") as engine:
            engine.check()
            for who in ("ada", "eve"):
                url = engine.credential(vendor, who).authorization_url("http://127.0.0.1/back")
                found = engine.complete(vendor, sandbox.oauth2.consent(url).params)
                assert found is engine.credential(vendor, who)
            credential = engine.credential(vendor, "ada")
            first = credential.token()
            assert credential.peek() == first
            assert credential.refresh() != first
            assert credential.replacement(first) == credential.token()
            assert {status.account for status in engine.statuses()} == {"ada", "eve"}
            assert next(iter(engine.statuses(account="eve"))).account == "eve"
            assert credential.status().version > 0
            assert engine.keep_alive(vendor, rounds=1) == 0
            credential.logout()
            with pytest.raises(ReauthorizationRequired):
                credential.token()
            brought = credential.adopt(access_token="at", expires_at=first.expires_at)
            assert (brought.access_token, repr(credential)) == ("at", "<linkauth.blocking.Credential acme/ada>")

    await asyncio.to_thread(life)


async def test_a_listener_that_would_wait_for_itself_is_told_so(linkxg):
    """It is called in the background loop: waiting there for the same loop would never end."""
    told = []

    def listener(_):
        try:
            credential.token()
        except ConfigurationError as error:
            told.append(str(error))

    engine = blocking.AuthEngine(on_event=listener)
    credential = engine.credential(linkxg)
    await asyncio.to_thread(credential.token)
    assert any("wait for itself" in each for each in told)


async def test_a_password_is_in_no_frame(sandbox, linkxg):
    """Refused, it is neither in the error nor in the locals of its traceback; the canary looks."""
    user = linkauth.LinkXGUser(base_url=sandbox.linkxg.base_url)
    with pytest.raises(linkauth.InvalidGrant):
        await asyncio.to_thread(
            lambda: blocking.AuthEngine().credential(user).login(email="a@example.com", password="canary-password")
        )
