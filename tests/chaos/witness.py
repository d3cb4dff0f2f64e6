"""Sits in the sandbox's door and takes down what the vendor is asked and what it answers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

from tests.chaos.evidence import Evidence, Exchange, Login, Mark, Reuse
from tests.chaos.tracing import name_of

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from typing import Any

    from aiohttp import web

    from linkauth.sandbox import Sandbox
    from linkauth.sandbox.tokens import Session

TAKES = (0.0, 0.25)
"""Seconds that the vendor takes before it acts, and again before it answers: as vendors do, and something is always in the
air, for a disturbance to meet."""


class Witness:
    """To be made before the sandbox opens its doors."""

    def __init__(self, sandbox: Sandbox, chance: random.Random) -> None:
        self.linkxg = sandbox.linkxg
        self._chance = chance
        self.evidence = Evidence()
        self.sessions: dict[str, Session] = {}
        """The newest session of each account."""
        self.why: dict[str, dict[str, Any]] = {}
        """Of the login that an account gets next: why, and who told the user when."""
        self.heard: dict[str, float] = {}
        """When the vendor last gave an account a token."""
        self._by_issued: dict[str, Exchange | Login] = {}
        self._refresh, self.linkxg._refresh = self.linkxg._refresh, self._watched_refresh  # type: ignore[method-assign]
        self._login, self.linkxg._login = self.linkxg._login, self._watched_login  # type: ignore[method-assign]

    def hears(self, host: str) -> Callable[[dict[str, Any]], None]:
        """Take down what ``host``'s worker says."""
        return lambda told: self.evidence.marks.append(Mark(host=host, **told))

    def saw_in_store(self, refresh_token: str | None) -> None:
        """What a record holds now."""
        given = self._by_issued.get(name_of(refresh_token))
        if given is not None and given.seen is None:
            given.seen = time.monotonic()

    async def _watched_login(self, request: web.Request) -> web.Response:
        response = await self._login(request)
        session, issued = self._read(response)
        account = _account(session)
        self.sessions[account] = session
        login = Login(
            account=account,
            issued=issued,
            at=time.monotonic(),
            host=request.headers["X-Worker"],
            **self.why.pop(account, {}),
        )
        self.evidence.logins.append(login)
        self._by_issued[issued] = login
        self.heard[account] = login.at
        return response

    async def _watched_refresh(self, request: web.Request) -> web.Response:
        raw, host = (await request.json())["refreshToken"], request.headers["X-Worker"]
        spent = name_of(raw)
        await asyncio.sleep(self._chance.uniform(*TAKES))
        arrived = time.monotonic()
        reused = self.linkxg.counts["refresh_reuse"]
        try:
            response = await self._refresh(request)
        finally:
            if self.linkxg.counts["refresh_reuse"] > reused:  # no await lies between the two counts
                account = _account(self.linkxg.tokens._refresh[raw].session)
                self.evidence.reuses.append(Reuse(account=account, host=host, spent=spent, at=time.monotonic()))
        session, issued = self._read(response)
        exchange = Exchange(
            account=_account(session),
            host=host,
            spent=spent,
            issued=issued,
            arrived=arrived,
            answered=time.monotonic(),
        )
        self.evidence.exchanges.append(exchange)
        self._by_issued[issued] = exchange
        self.heard[exchange.account] = exchange.answered
        await asyncio.sleep(self._chance.uniform(*TAKES))
        return response

    def _read(self, response: web.Response) -> tuple[Session, str]:
        issued = json.loads(response.text or "")["data"]["refreshToken"]
        return self.linkxg.tokens._refresh[issued].session, name_of(issued)


def _account(session: Session) -> str:
    return session.subject.partition("@")[0]
