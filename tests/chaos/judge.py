"""Whether what went wrong had to go wrong.

Nothing is excused because something happened nearby. Three things excuse, each to be shown by the evidence:

- **The answer never reached its worker**: it says that it got none, or died without one, and its way to the vendor was
  disturbed while the answer was on it, or it was killed.
- **The worker that had the answer could not store it in time**: between the answer's arrival and the moment when the next
  worker set out to spend the old token there were no ``CLEAR`` seconds in a row in which it ran, reached the store and
  the store was there. A kill ends its time; with the answer in escrow the host's next worker has the duty.
- **The store lost the answer, and nobody who held it could put it back**: as above, for every worker that held it.

None of them excuses a worker that tried a token in doubt while the access token was still good, though told of the doubt.

A request that a link, or a stopped worker, held up is judged as of the moment when it was sent. Everything else has no
excuse: ``verdict`` is empty, and ``Case.story`` tells all that is known of the account at the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tests.chaos.evidence import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.evidence import Disturbance, Evidence, Exchange, Login, Mark, Reuse

CLEAR = 3.0
"""Seconds in a row without a disturbance in which a worker has to store what it has: a time-out of the store's, a pause,
another try, and what a busy machine takes; also ``GRACE``, for which a claimant waits for whoever may have something newer."""
SLACK = 0.5
"""Seconds that things take from one process to the next."""
AROUND = 15.0
"""Seconds before a case from which the story tells."""

MARGIN = 1 / 15
"""Share of an access token's lifetime before its end from which it is not served any more (``windows.MARGIN``)."""

TOLD = "the user was sent for"
KILL = "kill"
SLOW = "vendor is slow"
TIMEOUT = 3.0
"""Seconds that an engine here gives an exchange, all its tries together."""
SHARE = 0.5
"""Of these, the least that the last try has."""
LOSES_ANSWERS = (
    *(f"link to the vendor: {how}" for how in ("cut", "refuse", "silence", "half open", "drip")),
    "vendor loses an answer",
)


@attrs.frozen(kw_only=True)
class Case:
    """Something that went wrong. ``verdict``: why it had to; empty: it had not."""

    what: str
    account: str
    at: float
    verdict: str
    why_not: str = ""
    """Why there is no excuse."""


class Unexcused(Exception):
    """There is no excuse; the message says why."""


class Judge:
    """Judges each reuse, and each answer that the store never had."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._by_spent = {each.spent: each for each in evidence.exchanges}
        self._tokens: dict[str, str] = {each.issued: each.account for each in evidence.logins}
        self._tokens |= {each.issued: each.account for each in evidence.exchanges}
        self._by_issued = {each.issued: each for each in evidence.exchanges}
        self._marks: dict[str, list[Mark]] = {}
        for mark in evidence.marks:
            self._marks.setdefault(mark.account or self._tokens.get(mark.token, ""), []).append(mark)

    def cases(self) -> Iterator[Case]:
        """Everything that went wrong."""
        for reuse in self._evidence.reuses:
            yield self._case("a spent token was sent again", reuse.account, reuse.at, lambda r=reuse: self._reuse(r))
        for exchange in self._evidence.exchanges:
            if self._stored(exchange) is None and exchange.issued not in self._by_spent:
                yield self._case(
                    "an answer was never stored",
                    exchange.account,
                    exchange.answered,
                    lambda e=exchange: self._unstored(e),
                )

        for login in self._evidence.logins:
            if self._stored(login) is None and login.issued not in self._by_spent:
                yield self._case("a login was never stored", login.account, login.at, lambda e=login: self._unstored(e))
            if login.why == TOLD:
                yield self._case(
                    "a session that lives at the vendor's was given up",
                    login.account,
                    login.at,
                    lambda e=login: self._given_up(e),
                )

    def _case(self, what: str, account: str, at: float, judge: object) -> Case:
        try:
            return Case(what=what, account=account, at=at, verdict=judge())  # type: ignore[operator]
        except Unexcused as why:
            return Case(what=what, account=account, at=at, verdict="", why_not=str(why))

    # -- what may be excused ---------------------------------------------------------------------------------------

    def _reuse(self, reuse: Reuse) -> str:
        exchange = self._by_spent.get(reuse.spent)
        if exchange is None:
            raise Unexcused("the vendor has no exchange for it")
        sent = self._last(reuse.account, reuse.host, "sends", reuse.spent, reuse.at)
        claimed = self._last(reuse.account, reuse.host, "claimed", reuse.spent, sent.at if sent else 0.0)
        if sent is None or claimed is None:
            raise Unexcused("its sender did not say that it claimed and sent")
        if self._incarnation(reuse.host, sent.at) == self._incarnation(exchange.host, exchange.arrived):
            got = self._got(exchange)
            if got is not None and got.at < sent.at and reuse.host == exchange.host:
                raise Unexcused("its sender had the answer itself")
        newer, birth = self._successors(reuse.spent), self._birth(reuse.host, sent.at)
        for mark in self._marks.get(reuse.account, ()):
            known = mark.what == "holds" and mark.host == reuse.host and mark.token in newer
            if known and birth < mark.at < claimed.at:
                raise Unexcused("its sender had held a newer token before it claimed")
        earlier = next(each for each in self._evidence.reuses if each.spent == reuse.spent)
        if earlier is not reuse and claimed.at > earlier.at:
            return self._again(earlier, claimed.at)
        if sent.at < exchange.arrived:
            return self._crossed(reuse, sent, exchange)
        if claimed.at < exchange.arrived and self._disturbed(reuse.host, claimed.at, sent.at, vendor=True):
            return "a stopped worker came too late with what it was about to send"
        stored = self._stored(exchange)
        if stored is None or stored >= claimed.at:
            if stored is not None and stored < sent.at - 1.0 and not self._disturbed(reuse.host, stored, sent.at):
                raise Unexcused("the answer was stored well before its sender sent")
            self._not_early(exchange, claimed.at, sent.at)
            return self._away(exchange, claimed, sent.at)
        return self._lost(exchange, stored, claimed.at, sent.at, reuse.host)

    def _given_up(self, login: Login) -> str:
        """Its last answer was never stored, or the store lost it, for a reason, before its user was sent for."""
        told, by = login.told or login.at, login.by or login.host
        given = [*self._evidence.exchanges, *self._evidence.logins]
        last = max(
            (each for each in given if each.account == login.account and each.answered < told),
            key=lambda each: each.answered,
        )
        stored = self._stored(last)
        if stored is None:
            return self._unstored(last)
        return self._lost(last, stored, told, told, by)

    def _unstored(self, exchange: Exchange | Login) -> str:
        end = self._evidence.ended
        for login in self._evidence.logins:
            if login.account == exchange.account and login.at > exchange.arrived:
                end = min(end, login.at)
        for reuse in self._evidence.reuses:
            if reuse.account == exchange.account and reuse.at > exchange.arrived:
                end = min(end, reuse.at)
        return self._away(exchange, None, end)

    def _not_early(self, exchange: Exchange, claimed: float, sent: float) -> None:
        """While an access token is good nobody is hurt by waiting: a refresh token in doubt is not tried before its end.

        Unless the store lost the note that says so.
        """
        before = self._by_issued.get(exchange.spent)
        asked = before and self._last(before.account, before.host, "sends", before.spent, before.arrived)
        if asked is None:
            return  # by a login: when that was asked for is not known
        good = asked.at + self._evidence.lifetime * (1 - MARGIN) - SLACK
        forgot = any(
            each.loses and _overlap(each, exchange.arrived - 1.0, claimed) for each in self._evidence.disturbances
        )
        if sent < good and not forgot:
            raise Unexcused(f"a token in doubt was tried {good + SLACK - sent:.1f} s before the access token's end")

    # -- the excuses -----------------------------------------------------------------------------------------------

    def _crossed(self, reuse: Reuse, sent: Mark, exchange: Exchange) -> str:
        """Both requests were under way at once, and the other arrived first."""
        other = self._last(exchange.account, exchange.host, "sends", exchange.spent, exchange.arrived)
        if other is None:
            raise Unexcused("the exchange's sender did not say that it sent")
        first, second = sorted([(sent.at, reuse.host), (other.at, exchange.host)])
        if not self._disturbed(first[1], first[0], second[0], vendor=True):
            raise Unexcused("two workers asked at once, and nothing held the first up")
        return "a request that was held up arrived after another worker had tried the token in doubt"

    def _away(self, exchange: Exchange | Login, claimed: Mark | None, until: float) -> str:
        """The answer was not stored by ``until``: it did not arrive, or its worker was away."""
        got = self._got(exchange)
        since = self._last(exchange.account, exchange.host, "sends", exchange.spent, exchange.arrived)
        asked = since.at if since else exchange.arrived
        if got is None:
            for each in self._of(exchange.host, vendor=True):
                if each.what in (KILL, *LOSES_ANSWERS) and _overlap(each, asked, exchange.answered + 2.0):
                    return f"the answer did not arrive ({each.what})"
            for each in self._of(exchange.host):
                if each.what == "the machine stalled" and _overlap(each, asked, asked + TIMEOUT + SLACK):
                    return f"the answer did not arrive in time ({each.what})"
            if self._cut_short(exchange, asked):
                return "the answer did not arrive in time (the vendor was slow, and had failed before)"
            raise Unexcused("its worker did not get the answer, and nothing stood in the way")
        if until <= got.at:
            return self._at_once(exchange, asked, claimed, until)
        clear, kill = self._clear(exchange, got.at, until)
        if clear >= CLEAR:
            raise Unexcused(f"{exchange.host} had the answer, and {clear:.1f} s without a disturbance to store it")
        return f"the answer's worker was {'killed' if kill else 'cut off or stopped'} before it was stored"

    def _cut_short(self, exchange: Exchange | Login, asked: float) -> bool:
        """A slow vendor: earlier tries had taken part of the time that all share, and this one was given ``SHARE`` of it."""
        earlier = self._last(exchange.account, exchange.host, "sends", exchange.spent, asked - 0.01)
        ended = self._last(exchange.account, exchange.host, "got no answer", exchange.spent, asked + TIMEOUT + SLACK)
        if earlier is None or earlier.at < asked - TIMEOUT or ended is None or ended.at < asked + SHARE * TIMEOUT:
            return False
        slow = (each for each in self._evidence.disturbances if each.what == SLOW)
        return any(each.begun < exchange.answered < each.ended for each in slow)

    def _at_once(self, exchange: Exchange | Login, asked: float, claimed: Mark | None, until: float) -> str:
        """Another worker sent while the answer was still on its way: the first lease had been lost."""
        since = self._last(exchange.account, exchange.host, "claimed", exchange.spent, asked)
        begun = since.at if since else asked
        ends = claimed.at if claimed else until
        for each in self._evidence.disturbances:
            if each.loses and _overlap(each, begun, ends):
                return f"the store lost the lease under which a worker asked ({each.what})"
        if self._disturbed(exchange.host, begun, ends, vendor=True):
            return "the first to ask stood still for longer than its lease"
        raise Unexcused("two workers asked at once")

    def _again(self, earlier: Reuse, claimed: float) -> str:
        """A worker was told before that this token is dead: the store should know it."""
        lost = any(each.loses and _overlap(each, earlier.at, claimed) for each in self._evidence.disturbances)
        if lost or self._disturbed(earlier.host, earlier.at, earlier.at + CLEAR):
            return "asked about again: the store had not heard that it is dead"
        raise Unexcused("a dead token was asked about again")

    def _lost(self, exchange: Exchange | Login, stored: float, claimed: float, sent: float, sender: str) -> str:
        """The store had the answer, and had it no more when its next reader claimed."""
        losses = [each for each in self._evidence.disturbances if each.loses and _overlap(each, stored, claimed)]
        if not losses:
            raise Unexcused("the store had the answer, and had no reason to lose it")
        since, back = min(each.begun for each in losses), max(each.ended for each in losses)
        # Who was there when the store went away knows that it may have lost data, and has to wait for the others.
        newborn = self._birth(sender, sent) >= since
        until = sent if newborn else max(sent, back + CLEAR)
        for host, begun in self._holders(exchange, sent):
            longest, _ = self._longest(host, max(begun, since), until, escrowed=None)
            if longest >= CLEAR:
                raise Unexcused(
                    f"the store lost the answer, and {host}, which held it, had {longest:.1f} s to put it back, or would have had"
                )
        if newborn:
            return f"the store lost the answer, and a worker just born read what was there before ({losses[-1].what})"
        return f"the store lost the answer, and nobody who held it was there ({losses[-1].what})"

    # -- what happened when ----------------------------------------------------------------------------------------

    def _last(self, account: str, host: str, what: str, token: str, until: float) -> Mark | None:
        found = None
        for mark in self._marks.get(account, ()):
            if mark.host == host and mark.what == what and mark.token == token and mark.at <= until:
                found = mark
        return found

    def _got(self, exchange: Exchange | Login) -> Mark | None:
        marks = self._marks.get(exchange.account, ())
        return next((each for each in marks if each.what == "got" and each.token == exchange.issued), None)

    def _stored(self, exchange: Exchange | Login) -> float | None:
        """When the store had it for certain."""
        marks = self._marks.get(exchange.account, ())
        times = [each.at for each in marks if each.what == "committed" and each.token == exchange.issued]
        if exchange.seen is not None:
            times.append(exchange.seen)
        return min(times, default=None)

    def _successors(self, token: str) -> set[str]:
        found: set[str] = set()
        while token in self._by_spent and (token := self._by_spent[token].issued) not in found:
            found.add(token)
        return found

    def _holders(self, exchange: Exchange | Login, until: float) -> Iterator[tuple[str, float]]:
        """Who last held the answer or one after it, in the worker that lives at ``until``, and since when."""
        newer = {exchange.issued, *self._successors(exchange.issued)}
        last: dict[str, Mark] = {}
        for mark in self._marks.get(exchange.account, ()):
            if mark.what == "holds" and mark.at < until:
                last[mark.host] = mark
        for host, mark in last.items():
            if mark.token in newer and mark.at > self._birth(host, until):
                yield host, mark.at

    def _incarnation(self, host: str, at: float) -> int:
        return sum(each.what == KILL and each.host == host and each.begun <= at for each in self._evidence.disturbances)

    def _birth(self, host: str, at: float) -> float:
        kills = [each.begun for each in self._of(host) if each.what == KILL and each.begun <= at]
        return max(kills, default=0.0)

    def _of(self, host: str, *, vendor: bool = False) -> Iterator[Disturbance]:
        """What kept ``host`` from reaching the store (or ``vendor``: also what lay between it and the vendor)."""
        for each in self._evidence.disturbances:
            if each.host in {"", host} and (vendor or not each.what.startswith(("link to the vendor", "vendor"))):
                yield each

    def _disturbed(self, host: str, since: float, until: float, *, vendor: bool = False) -> bool:
        """Whether ``host`` was stopped, stood still or cut off for some part of that time."""
        if any(_overlap(each, since - SLACK, until) for each in self._of(host, vendor=vendor)):
            return True
        return any(
            mark.host == host and mark.what == "stood still" and since - SLACK <= mark.at <= until + SLACK
            for mark in self._evidence.marks
        )

    def _clear(self, exchange: Exchange | Login, since: float, until: float) -> tuple[float, bool]:
        marks = self._marks.get(exchange.account, ())
        kept = any(each.what == "in escrow" and each.token == exchange.issued for each in marks)
        return self._longest(exchange.host, since, until, escrowed=kept)

    def _longest(self, host: str, since: float, until: float, *, escrowed: bool | None) -> tuple[float, bool]:
        """The longest time without a disturbance, and whether a kill ended ``host``'s duty (unless ``escrowed``)."""
        clear, at, killed = 0.0, since, False
        for each in sorted(self._of(host), key=lambda each: each.begun):
            if each.ended < since or each.begun > until:
                continue
            clear = max(clear, each.begun - at)
            if each.what == KILL and each.begun > since:
                killed = True
                if not escrowed:
                    return clear, True
            at = max(at, each.ended)
        return max(clear, until - at), killed

    # -- telling ---------------------------------------------------------------------------------------------------

    def story(self, case: Case) -> list[str]:
        """All that is known of the account around that time, line by line."""
        begun = self._evidence.begun
        lines: list[tuple[float, str]] = [(case.at, f"=== {case.what}: {case.verdict or case.why_not}")]
        for each in self._evidence.disturbances:
            lines.append((each.begun, f"    {each.what} {each.host}".rstrip()))
            if each.ended < FOREVER:
                lines.append((each.ended, f"    end of {each.what} {each.host}".rstrip()))
        for told in self._evidence.exchanges:
            if told.account == case.account:
                lines.append((told.arrived, f"VENDOR takes {told.spent} from {told.host}"))
                lines.append((told.answered, f"VENDOR gives {told.issued} for {told.spent}"))
                if told.seen is not None:
                    lines.append((told.seen, f"STORE is seen to have {told.issued}"))
        lines += [
            (each.at, f"VENDOR refuses {each.spent}, spent before, from {each.host}")
            for each in self._evidence.reuses
            if each.account == case.account
        ]
        lines += [
            (each.at, f"VENDOR gives {each.issued} for a login: {each.why or 'the first'}")
            for each in self._evidence.logins
            if each.account == case.account
        ]
        for mark in [*self._marks.get(case.account, ()), *self._marks.get("store", ()), *self._marks.get("", ())]:
            words = " ".join(filter(None, [mark.what, mark.token, f"#{mark.number}" * bool(mark.number), mark.more]))
            lines.append((mark.at, f"  {mark.host} {words}"))
        near = sorted(line for line in lines if case.at - AROUND <= line[0] <= case.at + AROUND / 3)
        return [f"{at - begun:9.3f} {words}" for at, words in near]


def _overlap(each: Disturbance, since: float, until: float) -> bool:
    return each.begun <= until and each.ended >= since
