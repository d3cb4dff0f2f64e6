"""``linkauth import``: sessions that were made elsewhere come in, as lines of JSON on standard input.

First every session is stored, and nothing is asked of the vendor; only then are they renewed, as fast as it lets them be. So
whatever ends the command, what was read is in the store, and whoever uses a session next renews it. To run it again is harmless:
what is there already is counted, and stays as it is.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from linkauth.cli import lines
from linkauth.cli.progress import progress
from linkauth.cli.registration import engine, exists, vendor
from linkauth.cli.terminal import interruptible
from linkauth.engine.renew_many import Pace, each
from linkauth.errors import (
    AlreadyConnected,
    ConfigurationError,
    LinkAuthError,
    RateLimited,
    ReauthorizationRequired,
    StoreError,
    StoreUnavailable,
    VendorUnavailable,
)
from linkauth.oauth.elsewhere import Elsewhere
from linkauth.oauth.token import secret_bytes
from linkauth.protocol.timing import LONGEST_BACKOFF

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from linkauth import Vendor
    from linkauth.cli.lines import Line
    from linkauth.engine.credential import Credential
    from linkauth.engine.engine import Engine

__all__ = ["Import", "run"]

T = TypeVar("T")

TRIES: Final = 5
"""Failures of the vendor in a row after which a session is left to whoever uses it first. To be told to wait is no failure."""
LEAST_WAIT: Final = 1.0
"""Seconds between two tries."""
ALWAYS: Final = ("stored", "there already", "refused")
SOMETIMES: Final = ("of another registration", "renewed", "left to be renewed at first use", "needs its user")
"""What is told of the lines, and what only where it is so of any."""


async def run(chosen: argparse.Namespace) -> int:
    """Store, then renew; exit status 1 where a line was refused, or the vendor refused a session."""
    texts = _read_input()
    counts: Counter[str] = Counter()
    found = list(_understood(texts, counts))
    chosen.vendor = chosen.vendor or _named(found)
    chosen.vendor_of = None  # such a function knows whose a stored session is
    async with engine(chosen) as opened:
        which = await vendor(opened, chosen)
        if not which.needs_user:
            raise ConfigurationError(f"{which.name} needs no user: there are no sessions to bring in")
        own = [line for line in found if _is_of(line, which)]
        counts["of another registration"] = len(found) - len(own)
        work = Import(opened, which, counts, replace=chosen.replace)
        if chosen.dry_run:
            await work.look(own)
        else:
            await work.store(own)
            if not chosen.no_renew:
                await work.renew(list(dict.fromkeys(line.account for line in own)))
    told = [*ALWAYS, *(words for words in SOMETIMES if counts[words])]
    before = "nothing was done; it would be: " if chosen.dry_run else ""
    print(before + ", ".join(f"{words} {counts[words]:,}" for words in told))
    return 1 if counts["refused"] or counts["needs its user"] else 0


def _read_input() -> list[bytes]:
    # All of it, before anything is opened: so it is known how many there are, and nothing waits for a slow pipe.
    if sys.stdin.isatty():
        print("Lines of JSON are read; Ctrl-D ends them.", file=sys.stderr)
    with interruptible():
        return [secret_bytes(text) for text in sys.stdin.buffer.read().splitlines()]


def _understood(texts: list[bytes], counts: Counter[str]) -> Iterable[Line]:
    for number, text in enumerate(texts, 1):
        if text.strip():
            try:
                yield lines.read(number, text)
            except ConfigurationError as error:
                _refuse(number, error, counts)


def _refuse(number: int, error: LinkAuthError, counts: Counter[str]) -> None:
    counts["refused"] += 1
    print(f"line {number}: {error}", file=sys.stderr)


def _named(found: list[Line]) -> str | None:
    """The one vendor that all lines name."""
    names = {line.vendor for line in found}
    return names.pop() if len(names) == 1 else None


def _is_of(line: Line, which: Vendor) -> bool:
    client_id = getattr(which, "client_id", "")
    return line.vendor in {"", which.name} and line.client_id in {"", client_id}


class Import:
    """One run. ``counts``: what became of how many lines."""

    def __init__(self, opened: Engine, which: Vendor, counts: Counter[str], *, replace: bool) -> None:
        self._opened = opened
        self._vendor = which
        self._counts = counts
        self._replace = replace

    async def look(self, own: list[Line]) -> None:
        """What ``store`` would do, by a look at the store, if there is one."""
        there = await exists(self._opened)
        for line in own:
            try:
                credential = self._opened.credential(self._vendor, line.account)
                self._check(line)
                status = await credential.status() if there else None
            except StoreUnavailable:
                raise
            except LinkAuthError as error:
                _refuse(line.number, error, self._counts)
                continue
            live = status is not None and status.version and not status.needs_user and not self._replace
            self._counts["there already" if live else "stored"] += 1

    def _check(self, line: Line) -> None:
        """Raises what ``adopt`` would, before it asks the store."""
        empty: dict[str, Any] = {**dict.fromkeys(lines.SESSION), "scope": "", "extra": {}}
        given = Elsewhere(**empty | dict(line.session))
        self._vendor.adopted(given.token(time.time(), self._vendor.lifetime))

    async def store(self, own: list[Line]) -> None:
        """Put all of them in the store."""

        async def one(line: Line) -> None:
            try:
                credential = self._opened.credential(self._vendor, line.account)
                await credential.adopt(**line.session, replace=self._replace, renew=False)
                self._counts["stored"] += 1
            except AlreadyConnected:
                self._counts["there already"] += 1
            except StoreError:
                raise
            except LinkAuthError as error:
                _refuse(line.number, error, self._counts)
            step()

        with progress("stored", len(own)) as step:
            await each(_all(own), one)

    async def renew(self, accounts: Sequence[str]) -> None:
        """Have a valid token of each: who has one already is not renewed."""
        pace = Pace(self._opened.context.clock, share=1.0, otherwise=0.0)

        async def one(account: str) -> None:
            credential = self._opened.credential(self._vendor, account)
            if await _has_none(credential):
                await pace.turn(self._vendor)
                self._counts[await _renewed(credential)] += 1
            step()

        with progress("renewed", len(accounts)) as step:
            await each(_all(accounts), one)


async def _has_none(credential: Credential) -> bool:
    """Whether there is no valid access token, though there is a session."""
    status = await credential.status()
    over = status.expires_at is None or status.expires_at <= status.now
    return bool(status.version) and over and not status.needs_user


async def _renewed(credential: Credential) -> str:
    """What became of a renewal. Raises what would become of all of them, such as ``InvalidClient``."""
    failures = 0
    while failures < TRIES:
        try:
            await credential.token()
        except ReauthorizationRequired as error:
            print(f"{credential.vendor.name}/{credential.account}: {error}", file=sys.stderr)
            return "needs its user"
        except (RateLimited, VendorUnavailable, StoreUnavailable) as error:
            failures += not isinstance(error, RateLimited)
            told = getattr(error, "retry_after", None)
            wait = 2.0**failures if told is None else float(told)
            await asyncio.sleep(min(max(wait, LEAST_WAIT), LONGEST_BACKOFF))
        except LinkAuthError as error:
            if error.who == "you":  # a wrong client secret: so it would be with all of them
                raise
            print(f"{credential.vendor.name}/{credential.account}: {error}", file=sys.stderr)
            break
        else:
            return "renewed"
    return "left to be renewed at first use"


async def _all(items: Iterable[T]) -> AsyncGenerator[T]:
    for item in items:
        yield item
