"""What is told to whoever listens and to the log: of sessions, tries, waits, refusals and repairs; and how a listener is treated."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
from itertools import pairwise

import pytest

from linkauth import AuthEngine
from linkauth.engine.events import EventKind
from linkauth.errors import ConfigurationError
from linkauth_stores.memory import MemoryStore
from tests.engine.fakes import CLIENT, USER, Store, Vendor, Worker, answer, logged_in
from tests.engine.virtual import virtual


def told(worker: Worker, kind: EventKind) -> list:
    return [event for event in worker.events if event.kind is kind]


@virtual
async def test_a_session_that_begins_is_told() -> None:
    """A login, and a session that was made elsewhere: each an event with its account."""
    worker = Worker(Store(), Vendor())
    await logged_in(worker, "ada")
    await worker.credential(USER, "bob").adopt(access_token="a", refresh_token="r", expires_at=2e9)
    assert [event.account for event in told(worker, EventKind.CONNECTED)] == ["ada", "bob"]


@virtual
async def test_what_is_asked_once_more_is_told_with_host_status_and_attempt(caplog) -> None:
    """A vendor that fails twice: two events, of the second and of the third try; the log has all three at DEBUG."""
    caplog.set_level(logging.DEBUG, "linkauth")
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    vendor.fails(answer(503, {}), times=2)
    await worker.credential(CLIENT, "ada").token()
    retried = told(worker, EventKind.RETRIED)
    assert [(event.attempt, event.status, event.host) for event in retried] == [
        (2, 503, "vendor.example"),
        (3, 200, "vendor.example"),
    ]
    lines = [record.getMessage() for record in caplog.records if ", attempt " in record.getMessage()]
    assert [line.split(", attempt ")[1][0] for line in lines] == ["1", "2", "3"]
    assert all(line.startswith(f"{CLIENT.name}/ada: ") and "vendor.example: " in line for line in lines)


@virtual
async def test_callers_who_share_a_renewal_are_one_event() -> None:
    """A thousand callers: how many they were, and how long the first waited. A caller who waits alone is no event."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    vendor.delay = 3.0
    credential = worker.credential(CLIENT)
    await credential.token()
    assert told(worker, EventKind.WAITED) == []
    first = asyncio.create_task(credential.refresh())
    await asyncio.sleep(1)
    await asyncio.gather(first, *(credential.refresh() for _ in range(999)))
    (waited,) = told(worker, EventKind.WAITED)
    assert (waited.callers, waited.duration) == (1000, 3.0)


@virtual
async def test_a_401_is_told_each_time() -> None:
    """Of the API, that is: once when the token is replaced, and once more should the next be refused as well."""
    worker = Worker(Store(), Vendor())
    credential = worker.credential(CLIENT)
    fresh = await credential.replacement(await credential.token())
    credential.accepted(fresh, yes=False)
    credential.accepted(fresh, yes=True)
    assert len(told(worker, EventKind.REFUSED)) == 2


@virtual
async def test_a_record_that_is_put_back_is_told_with_its_account() -> None:
    """The store lost it; whose it was is in the event, and nobody has to read a key."""
    store = Store()
    worker = Worker(store, Vendor())
    credential = await logged_in(worker, "ada")
    store.inner._slots.clear()
    await credential.replica.put_back()
    (repaired,) = told(worker, EventKind.REPAIRED)
    assert (repaired.vendor, repaired.account) == (USER.name, "ada")


@virtual
async def test_a_failure_names_its_class() -> None:
    """So that whoever counts need not read words."""
    vendor = Vendor()
    worker = Worker(Store(), vendor)
    vendor.fails(answer(503, {}), times=99)
    with pytest.raises(Exception, match="503"):
        await worker.credential(CLIENT).token()
    assert [event.error for event in told(worker, EventKind.FAILED)] == ["VendorUnavailable"]


@virtual
async def test_hours_of_work_are_a_handful_of_lines(caplog) -> None:
    """Five accounts whose tokens live a quarter of an hour, in two workers, for four hours: at INFO their connections, and no more."""
    caplog.set_level(logging.INFO, "linkauth")
    store, vendor = Store(), Vendor()
    one, other = Worker(store, vendor), Worker(store, vendor)
    for number in range(5):
        await logged_in(one, f"user{number}")

    async def work(hours: float) -> None:
        for _ in range(int(hours * 60)):
            for worker in (one, other):
                for number in range(5):
                    await worker.credential(USER, f"user{number}").token()
            await asyncio.sleep(60)

    await work(4)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert lines == [f"{USER.name}/user{number}: connected" for number in range(5)]


@virtual
async def test_several_listeners_plain_and_async() -> None:
    """Each hears everything, and closing the engine waits for one that takes its time."""
    plain, slow = [], []

    async def listen(event) -> None:
        await asyncio.sleep(5)
        slow.append(event.kind)

    worker = Worker(Store(), Vendor())
    worker.context.event_log.listen(lambda event: plain.append(event.kind))
    worker.context.event_log.listen(listen)
    await worker.credential(CLIENT).token()
    assert (plain, slow) == ([EventKind.RENEWED], [])
    await worker.aclose()
    assert slow == plain


@pytest.mark.parametrize("fault", ["raises", "hangs"])
@virtual
async def test_an_async_listener_that_fails_disturbs_nobody(fault, caplog) -> None:
    """What it raises, or that it does not end, is a line in the log; the engine serves, and closes."""

    async def listen(event) -> None:
        if fault == "raises":
            raise ZeroDivisionError
        await asyncio.Event().wait()

    worker = Worker(Store(), Vendor())
    worker.context.event_log.listen(listen)
    assert await worker.credential(CLIENT).token()
    await worker.aclose()
    (error,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert error.getMessage() == "the event listener failed at renewed"


@virtual
async def test_listeners_may_be_given_as_a_list() -> None:
    """Each of them hears."""
    one, two = [], []
    engine = AuthEngine(MemoryStore(), on_event=[one.append, two.append])
    engine.context.event_log.tell(EventKind.STORE_BACK, "store", "")
    assert len(one) == 1
    assert one == two


@pytest.mark.parametrize("listeners", [[], 3, ["no function"]])
def test_what_cannot_listen_is_refused(listeners) -> None:
    """Where the engine is made, and not at the first event."""
    with pytest.raises(ConfigurationError):
        AuthEngine(MemoryStore(), on_event=listeners)


def test_each_kind_of_event_has_its_sentence() -> None:
    """Whoever listens finds in the source what each kind means."""
    (members,) = (
        node.body for node in ast.walk(ast.parse(inspect.getsource(EventKind))) if isinstance(node, ast.ClassDef)
    )
    named = [member.targets[0].id for member in members if isinstance(member, ast.Assign)]
    said = [
        one.targets[0].id
        for one, next_one in pairwise(members)
        if isinstance(one, ast.Assign) and isinstance(next_one, ast.Expr)
    ]
    assert named == said == [kind.name for kind in EventKind]
