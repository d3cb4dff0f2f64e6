"""What the vendor and the store saw, and what was done to whom when: the evidence on which a loss is judged."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

    from linkauth.sandbox import Sandbox
    from linkauth.sandbox.tokens import Session

SLACK = 2.0
"""Seconds that a busy machine may take from one thing to the next."""


@attrs.define(kw_only=True)
class Disturbance:
    """Something done to one worker, or (``worker`` empty) to all. ``loses``: the store lost some of its data."""

    what: str
    worker: str = ""
    begun: float
    ended: float = float("inf")
    loses: bool = False


@attrs.define(kw_only=True, eq=False)
class Exchange:
    """A refresh token that the vendor took, and what it gave for it."""

    account: str
    session: Session
    worker: str
    spent: str = attrs.field(repr=False)
    issued: str = attrs.field(repr=False)
    arrived: float
    answered: float
    stored: float | None = None
    """When it was first seen in the store; None: never."""


@attrs.define(kw_only=True, eq=False)
class Reuse:
    """A spent refresh token that the vendor was sent once more."""

    account: str
    worker: str
    spent: str = attrs.field(repr=False)
    at: float


class Witness:
    """Sits in the sandbox's door and looks into the store."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.linkxg = sandbox.linkxg
        self.exchanges: list[Exchange] = []
        self.reuses: list[Reuse] = []
        self.disturbances: list[Disturbance] = []
        self.sessions: dict[str, Session] = {}
        """The newest session of each account."""
        self._by_issued: dict[str, Exchange] = {}
        self._by_spent: dict[str, Exchange] = {}
        self._refresh, self.linkxg._refresh = self.linkxg._refresh, self._watched_refresh  # type: ignore[method-assign]
        self._login, self.linkxg._login = self.linkxg._login, self._watched_login  # type: ignore[method-assign]

    async def _watched_login(self, request: web.Request) -> web.Response:
        response = await self._login(request)
        session = self._session_of(response)
        self.sessions[session.subject.partition("@")[0]] = session
        return response

    async def _watched_refresh(self, request: web.Request) -> web.Response:
        arrived = time.monotonic()
        spent, worker = (await request.json())["refreshToken"], request.headers["X-Worker"]
        reused = self.linkxg.counts["refresh_reuse"]
        try:
            response = await self._refresh(request)
        finally:
            if self.linkxg.counts["refresh_reuse"] > reused:  # no await lies between the two counts
                session = self.linkxg.tokens._refresh[spent].session
                account = session.subject.partition("@")[0]
                self.reuses.append(Reuse(account=account, worker=worker, spent=spent, at=time.monotonic()))
        session = self._session_of(response)
        issued = json.loads(response.text or "")["data"]["refreshToken"]
        exchange = Exchange(
            account=session.subject.partition("@")[0],
            session=session,
            worker=worker,
            spent=spent,
            issued=issued,
            arrived=arrived,
            answered=time.monotonic(),
        )
        self.exchanges.append(exchange)
        self._by_issued[issued] = self._by_spent[spent] = exchange
        return response

    def _session_of(self, response: web.Response) -> Session:
        return self.linkxg.tokens._refresh[json.loads(response.text or "")["data"]["refreshToken"]].session

    def saw_in_store(self, value: bytes) -> None:
        """A record's value, as the store has it now."""
        told = json.loads(value)
        exchange = self._by_issued.get(_refresh_token(told))
        if exchange is not None and exchange.stored is None:
            exchange.stored = time.monotonic()

    # -- judging ---------------------------------------------------------------------------------------------------

    def unstored(self) -> Iterator[tuple[Exchange, str]]:
        """Answers that the store was never seen to have, and why that may be (empty: no reason is known).

        An answer whose token the vendor was sent later was stored, or its worker still had it.
        """
        for exchange in self.exchanges:
            if exchange.stored is None and exchange.issued not in self._by_spent:
                yield exchange, self._cut_off(exchange)

    def judge(self, reuse: Reuse) -> str:
        """Why a spent token was sent once more; empty: there was no excuse."""
        exchange = self._by_spent[reuse.spent]
        if exchange.stored is None:
            return self._cut_off(exchange) and "the answer was cut off before anything was stored"
        lost = any(
            each.loses and each.ended >= exchange.stored - SLACK and each.begun <= reuse.at
            for each in self.disturbances
        )
        if lost and self._touched(exchange.worker, exchange.stored, reuse.at, alone=True):
            return "the store lost the answer, and its holder was away"
        if self._touched(reuse.worker, exchange.arrived, reuse.at, alone=True):
            return "sent before the answer was stored, by a worker that was cut off"
        return ""

    def _cut_off(self, exchange: Exchange) -> str:
        return self._touched(exchange.worker, exchange.arrived, exchange.answered + SLACK)

    def _touched(self, worker: str, since: float, until: float, *, alone: bool = False) -> str:
        """What was done to the worker, or unless ``alone`` to all, in that time; empty: nothing."""
        whose = {worker} if alone else {"", worker}
        for each in self.disturbances:
            if each.worker in whose and each.begun <= until and each.ended >= since - SLACK / 4:
                return each.what
        return ""


def _refresh_token(told: Any) -> str:
    """Wherever the envelope has it."""
    if isinstance(told, dict):
        found = told.get("refresh_token")
        if isinstance(found, str):
            return found
        return next(filter(None, map(_refresh_token, told.values())), "")
    return ""
