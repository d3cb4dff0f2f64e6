"""The vendor as a node: grants, rotates, detects reuse, refuses, is slow, fails; and how a worker reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.errors import NoAnswer, NotSent
from linkauth.oauth import wire
from linkauth.oauth.exchange import Request, Response
from tests.simulation.loop import WHO, Node
from tests.simulation.net import LATE, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import Simulation


@attrs.define(eq=False)
class Answer:
    """Something that the vendor decided, and what became of the word of it."""

    refresh: str
    """The refresh token that was sent."""
    by: Node
    """Who sent it."""
    at: float
    cut: set[str] = attrs.field(factory=set)
    """How its worker died or was cut off before the answer was durable. What excuses its loss."""
    durable: bool = False
    """The store has it (or something newer)."""
    arrived: bool = False
    sent: float = 0.0
    failed_before: int = 0
    """How many commits of its worker had failed before it arrived."""


@attrs.define(eq=False, kw_only=True)
class Grant(Answer):
    """A token that was granted."""

    serial: int
    """Of the refresh token that came with it; a replay gives the same one again."""
    account: str
    gives: str
    access: str
    lifetime: float
    revoked: bool = False

    @property
    def expires(self) -> float:
        return self.at + self.lifetime


@attrs.define(eq=False)
class Refusal(Answer):
    """A refresh token that was refused as dead."""


@attrs.define(eq=False)
class Family:
    """All that followed from one login."""

    account: str
    current: str
    serial: int = 0
    alive: bool = True
    spent: dict[str, Grant] = attrs.field(factory=dict)
    """What each spent refresh token was spent on, first."""
    spent_at: dict[str, float] = attrs.field(factory=dict)
    previous: str = ""
    refusals: dict[str, Refusal] = attrs.field(factory=dict)
    why: str = ""


def refresh_token(request: Request) -> str:
    """The refresh token in a form; those of this vendor need no encoding."""
    _, _, rest = request.body.partition(b"&refresh_token=")
    return rest.partition(b"&")[0].decode()


class VendorNode:
    """One vendor, one family for each account."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.node = Node("vendor")
        self.families: dict[str, Family] = {}
        self.grants: dict[str, Grant] = {}
        """By access token."""
        self.latest: dict[str, Grant] = {}
        self.count = 0
        self.requests = 0

    def begin(self, account: str, lifetime: float) -> Grant:
        """A login, before the schedule begins."""
        family = self.families[account] = Family(account, f"r-{account}-0")
        grant = self._grant(family, family.current, self.node, lifetime)
        grant.arrived = grant.durable = True
        return grant

    def family_of(self, refresh: str) -> Family | None:
        return next((f for f in self.families.values() if f.current == refresh or refresh in f.spent), None)

    def _grant(self, family: Family, sent: str, by: Node, lifetime: float) -> Grant:
        self.count += 1
        grant = Grant(
            refresh=sent,
            by=by,
            at=self.sim.loop.now,
            serial=family.serial,
            account=family.account,
            gives=family.current,
            access=f"a-{family.account}-{self.count}",
            lifetime=lifetime,
        )
        self.grants[grant.access] = self.latest[family.account] = grant
        return grant

    def serve(self, reply: Callable[[object], None], by: Node, request: Request, sending: list[Any]) -> None:
        """Answer in its time."""
        plan = self.sim.plan
        self.requests += 1
        work = plan.slow * (0.2 + self.sim.loop.rng.random())
        kind = self.sim.trouble
        if kind == "hang":
            self.sim.loop.post(self.node, self.sim.hang, self._act, reply, by, request, sending)
        elif kind in {"500", "503"}:
            self._fail(reply, int(kind))
        elif kind == "429":
            self._fail(reply, 429, {"retry-after": "2"})
        elif kind == "502":  # a gateway that gave up: the request may have come through or not
            if self.sim.loop.rng.random() < 0.5:
                self._act(lambda _: None, by, request, sending, cut="the gateway gave up")
            self._fail(reply, 502)
        else:
            self.sim.loop.post(self.node, work, self._act, reply, by, request, sending)

    def _fail(self, reply: Callable[[object], None], status: int, headers: dict[str, str] | None = None) -> None:
        self.sim.tell("vendor", f"answers {status}")
        reply(Response(status=status, headers=headers or {}, body=b"{}"))

    def _act(
        self, reply: Callable[[object], None], by: Node, request: Request, sending: list[Any], cut: str = ""
    ) -> None:
        refresh = refresh_token(request)
        if not sending and (late := self.family_of(refresh)) and refresh in late.spent:
            late.spent[refresh].cut.add("the vendor acted late on what was sent before")
        answer, response = self.decide(refresh, by, waited_for=bool(sending))
        if cut:
            answer.cut.add(cut)
        if not sending:  # the sender had given up before the vendor acted
            answer.cut.add("the vendor acted late")
        self.sim.watch.decided(answer)
        if sending:
            answer.sent = sending[0]
            sending.append(answer)
        self.sim.hook("acted", by)
        reply((answer, response))

    def decide(self, refresh: str, by: Node, *, waited_for: bool = True) -> tuple[Answer, Response]:
        plan = self.sim.plan
        if not plan.user:
            family = self.families.setdefault("default", Family("default", ""))
            return self._give(family, "", by)
        family = self.family_of(refresh)
        if family is None:
            raise AssertionError(f"a refresh token that nobody was given: {refresh}")
        if family.alive and refresh == family.current:
            if plan.rotates:
                family.serial += 1
                family.current, family.previous = f"r-{family.account}-{family.serial}", refresh
                family.spent_at[refresh] = self.sim.loop.now
            answer, response = self._give(family, refresh, by)
            if plan.rotates:
                family.spent[refresh] = answer
            return answer, response
        window = plan.window if refresh == family.previous else 0.0
        if family.alive and self.sim.loop.now < family.spent_at.get(refresh, 0.0) + window:
            return self._give(family, refresh, by)
        if waited_for:
            self.sim.watch.reuse(family, refresh, by)
        if family.alive and plan.revokes:
            family.alive = False
            family.why = f"{by.name} sent {refresh} again"
            self.sim.tell("vendor", f"sees {refresh} again, and revokes everything of {family.account}")
            for grant in self.grants.values():
                grant.revoked = grant.revoked or grant.account == family.account
        refusal = Refusal(refresh, by, self.sim.loop.now)
        self.sim.tell("vendor", f"refuses {refresh} of {by.name}")
        if waited_for:
            self.sim.watch.refusing(family, refusal)
        family.refusals[refresh] = refusal
        body = wire.dump({"error": "invalid_grant", "error_description": "no longer good"})
        return refusal, Response(status=400, body=body)

    def _give(self, family: Family, sent: str, by: Node) -> tuple[Grant, Response]:
        grant = self._grant(family, sent, by, self.sim.plan.lifetime)
        self.sim.tell("vendor", f"gives {by.name} {grant.access} with {grant.gives} for {sent or 'its secret'}")
        body = {"access_token": grant.access, "token_type": "Bearer", "expires_in": grant.lifetime}
        if self.sim.plan.rotates:
            body["refresh_token"] = grant.gives
        return grant, Response(status=200, body=wire.dump(body))


async def send(sim: Simulation, request: Request, seconds: float) -> Response:
    """The engine's ``World.send``."""
    me = WHO.get()
    if sim.telling:
        sim.tell(me.name, f"asks the vendor, within {seconds:.1f} s")
    sim.hook("sending", me)
    sending: list[Any] = [sim.loop.now]
    sim.watch.sending(me, request)

    def gone() -> None:
        for answer in sending[1:]:
            assert isinstance(answer, Answer)
            answer.cut.add("the answer was lost")
            sim.watch.answer_lost(answer)

    try:
        answer = await sim.net.call(
            "request to the vendor",
            sim.vendor.node,
            sim.vendor.serve,
            me,
            request,
            sending,
            patience=min(seconds, sim.longest),
            lossy=False,
            repeatable=False,
            gone=gone,
        )
    except BaseException:
        gone()
        sim.fail(f"promise 6: {me} called off what it was asking the vendor")
        raise
    finally:
        told, sending[:] = sending[1:], []
        sim.watch.sent(me)
    if answer is REFUSED:
        sim.tell(me.name, "  cannot reach the vendor")
        raise NotSent("simulated: no connection")
    if answer is LATE:
        for late in told:
            assert isinstance(late, Answer)
            late.cut.add("the answer came too late")
            sim.watch.answer_lost(late)
        sim.watch.no_answer(me, request)
        sim.tell(me.name, "  has no answer from the vendor")
        raise NoAnswer("simulated: no answer")
    if isinstance(answer, tuple):
        decided, answer = answer
        decided.arrived = True
        sim.watch.arrived(decided)
        sim.hook("answered", me)
    elif answer.status >= 500 or answer.status == 429:
        sim.watch.failed_at[me, refresh_token(request)] = sim.loop.now
        sim.hook("failed", me)
    return answer
