"""One conversation with a vendor: how often, when and for how long it is asked, and the one time limit over all of it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from linkauth.engine.exchange import Exchange, drive
from linkauth.engine.world import World
from linkauth.errors import (
    NoAnswer,
    NotSent,
    RateLimited,
    VendorUnavailable,
)
from linkauth.oauth.exchange import Request, Response
from linkauth.protocol import effects
from linkauth.protocol.freshness import StoreTime
from linkauth.protocol.timing import backoff, replayable
from linkauth.vendors.vendor import KEEPS, RotationProfile
from tests.engine.fakes import Store, Vendor, Worker, answer
from tests.engine.virtual import monotonic, virtual, wall

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@virtual
async def test_a_flow_of_several_requests_has_one_time_limit():
    """The first answer came at the last moment: the second request is not sent, so nobody has to guess what it did."""
    sent = []

    async def send(request, seconds):
        sent.append(seconds)
        await asyncio.sleep(10)
        return answer(200, {})

    def flow():
        yield Request(method="GET", url="https://vendor.example/1")
        yield Request(method="GET", url="https://vendor.example/2")

    async def begin():
        return flow()

    world = attrs.evolve(Worker(Store(), Vendor()).context.world, send=send)
    time = StoreTime(wall(), monotonic(), monotonic())
    wanted = effects.Exchange(lambda _: flow(), single_use=True)
    exchange = Exchange(world, time, wanted, begin, limit=10, profile=KEEPS, tried=untold)
    with pytest.raises(NotSent, match="time for one exchange"):
        await exchange.run()
    assert sent == [10]
    assert not exchange.in_doubt


ASKED = Request(method="POST", url="https://vendor.example/token", headers={}, body=b"")


def untold(*_: object) -> None:
    """Nobody wants to know of a request."""


def asking() -> Generator[Request, Response, str]:
    yield ASKED
    return "answered"


class Wire:
    """A vendor that fails so often, after so many seconds each. ``chance``: what every throw of the dice gives."""

    def __init__(self, error: Callable[[str], Exception], times: int, lasts: float = 0.0, chance: float = 0.0) -> None:
        self.sent: list[float] = []
        self.limits: list[float] = []
        self.then: list[Callable[[str], Exception]] = []
        """How it fails after that."""
        self.stopped = 0.0
        """Seconds that the process sleeps unnoticed once two requests were made."""
        self._error, self._left, self._lasts, self._chance = error, times, lasts, chance

    async def _send(self, request: Request, seconds: float) -> Response:
        self.sent.append(monotonic())
        self.limits.append(seconds)
        await asyncio.sleep(self._lasts)
        self._left -= 1
        if self._left >= 0:
            raise self._error("no")
        if self.then:
            raise self.then.pop(0)("no")
        return Response(status=200, headers={}, body=b"")

    def random(self) -> float:
        return self._chance

    def _now(self) -> float:
        # Read again after the pause, so it is only then that the time shows.
        return monotonic() + (self.stopped if self.sent and monotonic() > self.sent[-1] and len(self.sent) > 1 else 0.0)

    def exchange(self, *, window: float = 0.0, single_use: bool = False, limit: float = 10.0) -> Exchange[str]:
        unused: Any = None
        world = World(send=self._send, monotonic=self._now, wall=wall, random=self, entropy=unused)
        profile = RotationProfile(rotates=single_use, replay_window=window)
        time = StoreTime(wall(), monotonic(), monotonic())

        async def begin() -> Any:
            return asking()

        wanted = effects.Exchange(lambda _: asking(), single_use=single_use)
        return Exchange(world, time, wanted, begin, limit=limit, profile=profile, tried=untold)

    def gaps(self) -> list[float]:
        return [round(after - before, 6) for before, after in zip(self.sent, self.sent[1:], strict=False)]


@virtual
async def test_tries_move_apart():
    """A quarter of a second after the first failure, then twice as long each time; the whole fits into the limit."""
    wire = Wire(NotSent, 5)
    assert await wire.exchange().run() == "answered"
    assert wire.gaps() == [0.25, 0.5, 1.0, 2.0, 4.0]
    assert wire.limits == [10.0, 9.75, 9.25, 8.25, 6.25, 2.25]


@virtual
async def test_a_try_that_may_have_been_acted_on_is_repeated_at_once():
    """Within the replay window the answer can be had again: first at once, then as to a vendor that fails."""
    wire = Wire(NoAnswer, 4)
    exchange = wire.exchange(window=30.0, single_use=True)
    assert await exchange.run() == "answered"
    assert wire.gaps() == [0.0, 0.25, 0.5, 1.0]
    assert exchange.in_doubt


@virtual
async def test_the_replay_window_opens_with_the_first_try():
    """Each further try does not push its end away, and no pause leads beyond it: there the token is taken for stolen."""
    wire = Wire(NoAnswer, 9, lasts=0.4)
    with pytest.raises(NoAnswer):
        await wire.exchange(window=1.0, single_use=True).run()
    assert wire.gaps() == [0.4]  # a third try would have set out after 1.05 s


@virtual
async def test_no_pause_leads_beyond_the_replay_window():
    """What would be sent too late is not waited for: the last failure is told at once."""
    wire, began = Wire(NoAnswer, 9), monotonic()
    with pytest.raises(NoAnswer):
        await wire.exchange(window=2.0, single_use=True).run()
    assert wire.gaps() == [0.0, 0.25, 0.5]
    assert monotonic() - began == 0.75


@pytest.mark.parametrize(("window", "until"), [(0.0, 0.0), (1.0, 0.5), (10.0, 5.0), (30.0, 25.0)])
def test_what_is_sent_again_leaves_the_vendor_time_before_its_window_ends(window, until):
    """Half of the exchange's 10 s, or of a shorter window: a slow vendor that acts on it later takes it for stolen."""
    assert replayable(window, 10.0) == until


@virtual
async def test_a_connection_that_fails_later_does_not_take_the_doubt_away():
    """No answer, then no connection: what was sent first may still have been acted on."""
    wire = Wire(NoAnswer, 1)
    wire.then = [NotSent] * 9
    exchange = wire.exchange(window=2.0, single_use=True)
    with pytest.raises(NotSent):
        await exchange.run()
    assert wire.gaps() == [0.0, 0.5]  # and after 1 s more the window would be half over
    assert exchange.in_doubt


@virtual
async def test_a_pause_that_lasted_beyond_the_replay_window_ends_the_tries():
    """The process was stopped between two tries: what it would have sent is too late."""
    wire = Wire(NoAnswer, 2)
    exchange = wire.exchange(window=1.0, single_use=True)
    wire.stopped = 2.0  # from the second try on
    with pytest.raises(VendorUnavailable):
        await exchange.run()
    assert wire.gaps() == [0.0]
    assert exchange.in_doubt


@pytest.mark.parametrize("error", [NotSent, NoAnswer])
@virtual
async def test_what_may_be_asked_twice_is_asked_again_after_a_pause(error):
    """What is sent is good for more than one use: no answer is no more than a failure, and puts nothing in doubt."""
    wire = Wire(error, 2)
    exchange = wire.exchange()
    assert await exchange.run() == "answered"
    assert wire.gaps() == [0.25, 0.5]
    assert exchange.in_doubt is False


@virtual
async def test_jitter_shortens_a_gap_by_half_at_the_most():
    """A whole fleet that failed at one moment does not come back at one moment."""
    wire = Wire(NotSent, 2, chance=0.5)
    await wire.exchange().run()
    assert wire.gaps() == [0.1875, 0.375]


@virtual
async def test_no_try_is_begun_that_would_have_no_time():
    """Past nine tenths of the limit it would only be cut off: the last failure is told instead."""
    wire = Wire(NotSent, 99, lasts=1.0)
    began = monotonic()
    with pytest.raises(NotSent):
        await wire.exchange(limit=4.0).run()
    assert wire.gaps() == [1.25, 1.5]
    assert monotonic() - began == 3.75


@virtual
async def test_a_limit_is_waited_for_by_who_needs_no_leave_to_ask():
    """There is nobody to tell of it: as long as the vendor says, but no shorter than after any failure; then asked again."""
    wire = Wire(partial(RateLimited, retry_after=3.0), 1)
    wire.then = [partial(RateLimited, retry_after=0.0)]
    assert await wire.exchange().run() == "answered"
    assert wire.gaps() == [3.0, 0.5]


@virtual
async def test_a_flow_is_closed_whatever_comes_of_its_request():
    """What the adapter has open is put away at once, not when the garbage collector comes by."""
    closed = []

    def flow() -> Generator[Request, Response, None]:
        try:
            yield ASKED
        finally:
            closed.append(True)

    async def fails(request: Request) -> Response:
        raise NotSent("no")

    kept = flow()
    with pytest.raises(NotSent):
        await drive(kept, fails)
    assert closed == [True]


def test_the_distance_doubles_and_jitter_only_shortens_it():
    """From ``first`` on, a minute at most, and never below half of that: the figures in the docs are upper bounds."""
    assert [backoff(failures, 1.0, 0.0) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff(10_000, 0.25, 0.0) == 60
    assert backoff(2, 0.25, 0.5) == 0.75
    assert backoff(2, 0.25, 1.0) == 0.5
