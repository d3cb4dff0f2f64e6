"""What a worker does, as evidence: each step says when, of which account or refresh token, and how it went.

Marks go out on the worker's socket as they are made, so a worker that is killed has told all that it did. Refresh tokens
are told by ``name_of``. Times are the monotonic clock's, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from linkauth.engine.escrow import FolderEscrow
from linkauth.engine.token_replica import TokenReplica
from linkauth.errors import LinkAuthError
from linkauth.protocol.records import TokenRecord

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from linkauth.engine.events import Event
    from linkauth.oauth.exchange import Request, Response
    from linkauth.protocol.lineage import Entry

LAG = 0.3
"""Seconds from which a pause of this process's own is told."""


def name_of(refresh_token: str | None) -> str:
    """A short name of a refresh token, that is no secret."""
    return sha256(refresh_token.encode()).hexdigest()[:8] if refresh_token else "-"


class Tracer:
    """Marks what the engine does. ``what`` is one of those that ``judge`` knows, or just tells the reader."""

    def __init__(self, say: Callable[[object], None]) -> None:
        self._say = say
        self._names: dict[bytes, str] = {}
        self._accounts: dict[str, str] = {}
        self._patch()
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.mark("complaint", more=record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("asyncio").addHandler(handler)

    def mark(self, what: str, *, account: str = "", token: str = "", number: int = 0, more: str = "") -> None:
        """Say it."""
        told = {"at": time.monotonic(), "what": what, "account": account, "token": token, "number": number}
        self._say({"mark": {**told, "more": more}})

    def hear(self, event: Event) -> None:
        """Mark an event. Adoptions are marked with their token elsewhere."""
        if event.kind.value != "adopted":
            self.mark(event.kind.value, account=event.account, more=event.outcome)

    async def around(self, request: Request, sending: Awaitable[Response]) -> Response:
        """Mark what goes to the vendor and what comes back."""
        try:
            spent = name_of(json.loads(request.body or b"{}").get("refreshToken"))
        except ValueError:
            spent = "-"
        self.mark("sends", token=spent)
        try:
            response = await sending
        except LinkAuthError as error:
            self.mark("got no answer", token=spent, more=type(error).__name__)
            raise
        if response.status == 200:
            issued = name_of(json.loads(response.body)["data"]["refreshToken"])
            self.mark("got", token=issued, more=f"for {spent}")
        else:
            self.mark(f"got status {response.status}", token=spent)
        return response

    def follow(self, store: Any) -> None:
        """Mark what is written to the store, and begin to mark this process's own pauses."""
        commit = store.commit

        async def traced(key: str, number: int, value: bytes, *args: Any) -> Any:
            told = {"account": self._accounts.get(key, key), "token": self._names.get(value, "?"), "number": number}
            try:
                outcome = await commit(key, number, value, *args)
            except BaseException as error:
                self.mark("could not commit", **told, more=type(error).__name__)
                raise
            word = type(outcome).__name__.lower()
            self.mark(word, **told, more=str(outcome.record.version) if word == "superseded" and outcome.record else "")
            return outcome

        store.commit = traced
        self._clock = asyncio.get_running_loop().create_task(self._watch_the_clock())

    async def _watch_the_clock(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.1)
            if (lag := time.monotonic() - before - 0.1) > LAG:
                self.mark("stood still", more=f"{lag:.2f}")

    def _patch(self) -> None:
        """Each process has one engine, so the classes themselves may be told whom to tell."""
        tracer = self
        closed, leased, put, take = TokenReplica._closed, TokenReplica.lease, FolderEscrow.put, TokenReplica.observe

        def closing(replica: TokenReplica, number: int, token: Any, *more: Any) -> bytes:
            value = closed(replica, number, token, *more)
            if len(tracer._names) > 10_000:
                tracer._names.clear()
            tracer._names[value] = name_of(token.refresh_token)
            tracer._accounts[replica.key] = replica.account
            return value

        def leasing(replica: TokenReplica, claim: Any, at: Any, *more: Any) -> Any:
            held = replica.state.token
            version = claim.record.version if claim.record else 0
            tracer.mark(
                "claimed",
                account=replica.account,
                token=name_of(held.refresh_token) if held else "-",
                number=claim.number,
                more=f"of version {version}, held {replica.state.version}{', inherited' * claim.inherited}",
            )
            return leased(replica, claim, at, *more)

        async def putting(escrow: FolderEscrow, kept: Any) -> None:
            await put(escrow, kept)
            tracer.mark("in escrow", token=tracer._names.get(kept.value, "?"), number=kept.number)

        def taking(replica: TokenReplica, entry: Entry, at: Any, *, stored: bool = True) -> bool:
            new = take(replica, entry, at, stored=stored)
            if new and isinstance(entry.record, TokenRecord):
                name = name_of(entry.record.token.refresh_token)
                tracer.mark("holds", token=name, number=entry.number, more="" if stored else "unstored")
            return new

        TokenReplica._closed, TokenReplica.lease = closing, leasing  # type: ignore[method-assign]
        FolderEscrow.put, TokenReplica.observe = putting, taking  # type: ignore[method-assign]
