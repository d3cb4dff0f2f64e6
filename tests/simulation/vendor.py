"""The vendor as a node: grants, rotates, detects reuse, refuses, is slow, fails; and how a worker reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.errors import NoAnswer, NotSent
from linkauth.oauth import grants, wire
from linkauth.oauth.exchange import Flow, Request, Response
from linkauth.oauth.token import Secret
from linkauth.protocol import timing
from linkauth.vendors import token_endpoint
from linkauth.vendors.oauth2 import OAuth2
from tests.simulation.loop import WHO, Node
from tests.simulation.net import LATE, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.oauth.token import Token
    from tests.simulation.world import Simulation

HOST = "https://vendor.test"
BREAKS = 10.0
"""Seconds after which somebody hears that the connection to the vendor broke under what it asked."""
DEAD = "it came in dead"
"""Why a session from elsewhere is over."""
VAIN = frozenset({"the vendor acted late", "the gateway gave up", "the answer was lost", "the answer came too late"})
"""What cuts an answer so that nobody will ever have it."""


@attrs.frozen(kw_only=True)
class Registration(OAuth2):
    """OAuth 2.0, and a login by password as LinkXG has it for its users."""

    def login(self, email: str, password: Secret) -> Flow[Token]:
        fields = {"grant_type": "password", "username": email, "password": password.reveal()}
        return (yield from token_endpoint.grant(self, self.token_url, fields))


@attrs.frozen(kw_only=True)
class Replaceable(Registration):
    """One whose client secret can be replaced, as LinkXG's."""

    rotates_secret = True

    def rotate_secret(self, token: Token) -> Flow[Secret]:
        response = yield Request(url=f"{HOST}/rotate", headers=grants.bearer(token))
        if not grants.is_success(response):
            grants.raise_refusal(response, self.name)
        return Secret(wire.members(response.body, "the answer")["client_secret"])


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


@attrs.define
class Sending:
    """A request: when it went out, until when its answer is waited for, and what the vendor decided on it."""

    at: float
    until: float
    patient: bool
    """It is waited for as long as an answer deserves that cannot be had again: what comes later than that may be lost."""
    open: bool = True
    decided: list[Answer] = attrs.field(factory=list)


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
    began: float = 0.0
    """A login's: when the user asked for it."""
    lease: int = 0
    """The number of the lease under which it was asked for; 0: there was none."""
    elsewhere: bool = False
    """It was granted to somebody else, who hands the session over."""
    replaces: bool = False
    """It is to take the place of a live session."""
    overtaken: bool = False
    """Its lease had ended when it came to the store, and another worker had claimed."""

    @property
    def expires(self) -> float:
        return self.at + self.lifetime


@attrs.define(eq=False, kw_only=True)
class Rotation(Answer):
    """A client secret that replaced the one before."""

    serial: int


@attrs.define(eq=False)
class Refusal(Answer):
    """A refresh token that was refused as dead."""


@attrs.define(eq=False)
class Family:
    """All that followed from one login."""

    account: str
    current: str
    serial: int = 0
    """Of its refresh tokens; those of a later login are higher (``GENERATION``)."""
    alive: bool = True
    spent: dict[str, Grant] = attrs.field(factory=dict)
    """What each spent refresh token was spent on, first."""
    spent_at: dict[str, float] = attrs.field(factory=dict)
    previous: str = ""
    refusals: dict[str, Refusal] = attrs.field(factory=dict)
    why: str = ""
    late: bool = False
    """It was ended by a request that the vendor acted on when nobody waited for it any more."""
    lapses: float = float("inf")


GENERATION = 1000
"""Serials of one login; the next begins above."""


def refresh_token(request: Request) -> str:
    """The refresh token in a form; those of this vendor need no encoding."""
    return field(request, b"refresh_token")


def field(request: Request, name: bytes) -> str:
    """A field of a form; those of this vendor need no decoding."""
    _, _, rest = (b"&" + request.body).partition(b"&" + name + b"=")
    return rest.partition(b"&")[0].decode()


class VendorNode:
    """One vendor, one family for each account."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.node = Node("vendor")
        self.families: dict[str, Family] = {}
        """By account: of the latest login."""
        self.by_refresh: dict[str, Family] = {}
        self.secret = 0
        """How often the client's secret was replaced."""
        self.grants: dict[str, Grant] = {}
        """By access token."""
        self.latest: dict[str, Grant] = {}
        self.count = 0
        self.requests = 0

    def begin(self, account: str, lifetime: float) -> Grant:
        """A login, before the schedule begins."""
        family = self._family(account, 0)
        grant = self._grant(family, family.current, self.node, lifetime)
        grant.arrived = grant.durable = True
        return grant

    def _family(self, account: str, serial: int) -> Family:
        family = self.families[account] = Family(account, f"r-{account}-{serial}", serial)
        self.by_refresh[family.current] = family
        return family

    def elsewhere(self, account: str, lifetime: float, *, dead: bool) -> Grant:
        """A session that the user has begun in another program. It counts as the account's once a store has it."""
        self.count += 1
        family = Family(account, f"r-{account}-elsewhere-{self.count}", 1, alive=not dead, why=DEAD if dead else "")
        self.by_refresh[family.current] = family
        grant = self._grant(family, "", self.node, lifetime)
        grant.elsewhere, grant.sent, grant.revoked = True, self.sim.loop.now, dead
        return grant

    def becomes(self, grant: Grant) -> None:
        """The store has a new session of its account: from elsewhere, or of a login."""
        family, account = self.by_refresh[grant.gives], grant.account
        if grant.elsewhere and family is not self.families[account]:
            before = self.families[account].serial
            family.serial = grant.serial = before - before % GENERATION + GENERATION
        self.families[account], self.latest[account] = family, grant

    def grant_of(self, token: Any) -> Grant | None:
        """The grant of a stored token, which may have come in without an access token."""
        alone = (grant for grant in self.grants.values() if grant.elsewhere and grant.gives == token["refresh_token"])
        return self.grants.get(token["access_token"]) or next(alone, None)

    def family_of(self, refresh: str) -> Family | None:
        return self.by_refresh.get(refresh)

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
        self.grants[grant.access] = grant
        if family is self.families.get(family.account):
            self.latest[family.account] = grant
        if self.sim.plan.lapse:
            family.lapses = self.sim.loop.now + self.sim.plan.lapse
        return grant

    def serve(self, reply: Callable[[object], None], by: Node, request: Request, sending: Sending) -> None:
        """Answer in its time."""
        plan = self.sim.plan
        self.requests += 1
        work = plan.slow * (0.2 + self.sim.loop.rng.random())
        kind = self.sim.mischief.trouble
        if kind == "hang":
            self.sim.loop.post(self.node, self.sim.mischief.hang, self._act, reply, by, request, sending)
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
        self, reply: Callable[[object], None], by: Node, request: Request, sending: Sending, cut: str = ""
    ) -> None:
        refresh = refresh_token(request)
        # A machine that sleeps cannot give up, yet waits no longer than that either.
        waited_for = sending.open and by.alive and self.sim.loop.now <= sending.until
        given_up = not waited_for and (sending.patient or not by.alive)
        if given_up and (late := self.family_of(refresh)) and refresh in late.spent:
            late.spent[refresh].cut.add("the vendor acted late on what was sent before")
        answer, response = self._served(request, refresh, by, sending, waited_for=waited_for)
        if answer is None:
            reply(response)
            return
        if cut:
            answer.cut.add(cut)
        if given_up:  # the sender waited no longer, or died, before the vendor acted
            answer.cut.add("the vendor acted late")
        self.sim.judge.decided(answer)
        if sending.open:
            answer.sent = sending.at
            sending.decided.append(answer)
        self.sim.mischief.hook("acted", by)
        reply((answer, response))

    def _served(
        self, request: Request, refresh: str, by: Node, sending: Sending, *, waited_for: bool
    ) -> tuple[Answer | None, Response]:
        if request.url.endswith("/revoke"):
            return None, self._revoke(field(request, b"token"), by)
        if request.url.endswith("/rotate"):
            return self._rotate(request.headers["Authorization"].removeprefix("Bearer "), by, sending)
        if self.sim.plan.secrets and field(request, b"client_secret") != f"secret-{self.secret}":
            self.sim.tell("vendor", f"does not know {by.name}'s client secret")
            if waited_for:
                self.sim.judge.client_refused(by, field(request, b"client_secret"), sending.at)
            return None, Response(status=401, body=wire.dump({"error": "invalid_client"}))
        account = field(request, b"username")
        if not account:
            return self.decide(refresh, by, sending.at, waited_for=waited_for)
        before = self.families[account].serial
        family = self._family(account, before - before % GENERATION + GENERATION)
        return self._give(family, "", by)

    def _revoke(self, token: str, by: Node) -> Response:
        """RFC 7009: a refresh token ends its session."""
        family, grant = self.family_of(token), self.grants.get(token)
        self.sim.tell("vendor", f"revokes {token} for {by.name}")
        if family is not None and token == family.current:  # a spent one is unknown, which is no error (§2.2)
            family.alive, family.why = False, f"{by.name} logged out"
            self.sim.judge.leaving(family.account)
            ended = family.serial // GENERATION
            for other in self.grants.values():
                if other.account == family.account and other.serial // GENERATION == ended:
                    other.revoked = True
        if grant is not None:
            grant.revoked = True
        return Response(status=200)

    def _rotate(self, access: str, by: Node, sending: Sending) -> tuple[Rotation | None, Response]:
        grant = self.grants[access]
        if grant.revoked or grant.expires <= self.sim.loop.now:
            good = sending.open and not grant.revoked and sending.at < grant.expires
            self.sim.judge.ran_out[by] = self.sim.loop.now if good else -1.0
            return None, Response(status=401, body=wire.dump({"error": "invalid_token"}))
        self.secret += 1
        self.sim.tell("vendor", f"gives {by.name} client secret {self.secret}; the one before is dead")
        body = wire.dump({"client_secret": f"secret-{self.secret}"})
        return Rotation("", by, self.sim.loop.now, serial=self.secret), Response(status=200, body=body)

    def decide(self, refresh: str, by: Node, sent: float, *, waited_for: bool = True) -> tuple[Answer, Response]:
        plan = self.sim.plan
        if not plan.user:
            family = self.families.setdefault("default", Family("default", ""))
            return self._give(family, "", by)
        family = self.family_of(refresh)
        if family is None:
            raise AssertionError(f"a refresh token that nobody was given: {refresh}")
        if family.alive and refresh == family.current and self.sim.loop.now < family.lapses:
            if plan.rotates:
                family.serial += 1
                family.current, family.previous = f"r-{family.account}-{family.serial}", refresh
                self.by_refresh[family.current] = family
                family.spent_at[refresh] = self.sim.loop.now
            answer, response = self._give(family, refresh, by)
            if plan.rotates:
                family.spent[refresh] = answer
            return answer, response
        window = plan.window if refresh == family.previous else 0.0
        if family.alive and self.sim.loop.now < family.spent_at.get(refresh, 0.0) + window:
            return self._give(family, refresh, by)
        spent = refresh != family.current
        ends = family.alive and plan.revokes and spent
        if spent and (waited_for or ends):  # whoever sent what ends a session may be dead by now
            self.sim.judge.reuse(family, refresh, by, sent)
        if ends:
            family.alive = False
            family.why = f"{by.name} sent {refresh} again"
            family.late = not waited_for
            self.sim.tell("vendor", f"sees {refresh} again, and revokes everything of {family.account}")
            for grant in self.grants.values():
                same = grant.serial // GENERATION == family.serial // GENERATION
                grant.revoked = grant.revoked or (same and grant.account == family.account)
        if family.why == DEAD:
            self.sim.judge.left[family.account] = self.sim.loop.now  # the user is as he was before, without a session
        refusal = Refusal(refresh, by, self.sim.loop.now)
        self.sim.tell("vendor", f"refuses {refresh} of {by.name}")
        if waited_for:
            self.sim.judge.refusing(family, refusal)
        family.refusals[refresh] = refusal
        body = wire.dump({"error": "invalid_grant", "error_description": "no longer good"})
        return refusal, Response(status=400, body=body)

    def _give(self, family: Family, sent: str, by: Node) -> tuple[Grant, Response]:
        grant = self._grant(family, sent, by, self.sim.plan.lifetime)
        self.sim.tell("vendor", f"gives {by.name} {grant.access} with {grant.gives} for {sent or 'its secret'}")
        body = {"access_token": grant.access, "token_type": "Bearer", "expires_in": grant.lifetime}
        if self.sim.plan.rotates or (not sent and self.sim.plan.user):
            body["refresh_token"] = grant.gives
        if self.sim.plan.lapse:
            body["refresh_token_expires_in"] = self.sim.plan.lapse
        return grant, Response(status=200, body=wire.dump(body))


async def send(sim: Simulation, request: Request, seconds: float) -> Response:
    """The engine's ``World.send``."""
    me = WHO.get()
    if sim.telling:
        sim.tell(me.name, f"asks the vendor, within {seconds:.1f} s")
    sim.mischief.hook("sending", me)
    patience = min(seconds, sim.longest)
    patient = seconds >= timing.ANSWER or not sim.plan.rotates or not refresh_token(request)
    sending = Sending(sim.loop.now, sim.loop.now + patience, patient)
    sim.judge.sending(me, request)

    def gone() -> None:
        for answer in sending.decided:
            answer.cut.add("the answer was lost")
            sim.judge.answer_lost(answer)

    try:
        answer = await sim.net.call(
            "request to the vendor",
            sim.vendor.node,
            sim.vendor.serve,
            me,
            request,
            sending,
            patience=patience,
            lossy=False,
            repeatable=False,
            gone=gone,
            breaks=BREAKS,
        )
    except BaseException:
        gone()
        sim.fail(f"promise 6: {me} called off what it was asking the vendor")
        raise
    finally:
        told, sending.open = sending.decided, False
        sim.judge.sent(me)
    if answer is REFUSED:
        sim.tell(me.name, "  cannot reach the vendor")
        raise NotSent("simulated: no connection")
    if answer is LATE:
        for late in told if patient else ():
            late.cut.add("the answer came too late")
            sim.judge.answer_lost(late)
        sim.judge.no_answer(me, request)
        sim.tell(me.name, "  has no answer from the vendor")
        raise NoAnswer("simulated: no answer")
    if isinstance(answer, tuple):
        decided, answer = answer
        decided.arrived = True
        sim.judge.arrived(decided)
        sim.mischief.hook("answered", me)
    elif answer.status >= 500 or answer.status == 429:
        sim.judge.failed_at[me, request.url, refresh_token(request)] = sim.loop.now
        sim.mischief.hook("failed", me)
    return answer
