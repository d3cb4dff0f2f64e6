"""The two sides of the demo, as the parent sees them: their workers, their vendor's counts, their store, their user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs

from linkauth import AuthEngine, LinkXGUser, open_store
from linkauth.cli.demo import by_hand
from linkauth.oauth.token import Secret
from linkauth.protocol.keys import token_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from linkauth.cli.demo.crew import Member

__all__ = ["ByHand", "Linkauth", "Place", "Side"]

EARLIEST: Final = 2 / 3
"""Share of a token's lifetime before which nothing is renewed: four fifths, less the round trips of a busy machine."""


@attrs.frozen(kw_only=True)
class Place:
    """Where a vendor is, and who its user."""

    url: str
    """Of the sandbox."""
    base_url: str
    """Of its LinkXG."""
    email: str
    password: Secret = attrs.field(converter=Secret)


@attrs.define
class Side:
    """What one side has done so far."""

    title: str
    part: str
    """What its workers are ordered to be."""
    path: Path
    """Where its store is."""
    lifetime: float
    """Seconds that an access token lives."""
    place: Place = attrs.field(init=False)
    """Its vendor's."""
    workers: list[Member] = attrs.field(factory=list["Member"])
    counts: Mapping[str, int] = attrs.field(factory=dict[str, int])
    """What its vendor has counted."""
    numbers: dict[str, int] = attrs.field(factory=dict[str, int])
    """The access tokens that were seen with workers, in their order, from 1."""
    logged_out: bool = False

    @property
    def order(self) -> dict[str, Any]:
        """What each worker is told."""
        return {
            "part": self.part,
            "store": str(self.path),
            "base_url": self.place.base_url,
            "lifetime": self.lifetime,
        }

    def heard(self, counts: Mapping[str, int]) -> None:
        """Take what the vendor has counted, and what the workers have said."""
        self.counts = counts
        for token in self.told("token"):
            if token:
                self.numbers.setdefault(token, len(self.numbers) + 1)

    def reports(self) -> list[dict[str, Any]]:
        """What each worker that has said anything said last, the dead included."""
        return [worker.told for worker in self.workers if worker.told]

    def alive(self) -> list[dict[str, Any]]:
        """The same of the living."""
        return [worker.told for worker in self.workers if worker.told and not worker.killed]

    def told(self, name: str) -> list[Any]:
        """One figure of each."""
        return [report[name] for report in self.reports()]

    def total(self, name: str) -> int:
        """A figure, over all workers."""
        return sum(self.told(name))

    def seen(self, name: str) -> int:
        """A figure that its vendor counts."""
        return self.counts.get(name, 0)

    @property
    def error(self) -> str:
        """The words of some error; empty: there was none."""
        return next((str(words) for words in self.told("error") if words), "")

    @property
    def took(self) -> float:
        """Seconds from the first worker's beginning to the last one's word."""
        return max(self.told("now"), default=0.0) - min(self.told("begun"), default=0.0)

    @property
    def most(self) -> int:
        """The tokens that it may have taken in this time."""
        return 1 + int(self.took / (self.lifetime * EARLIEST))

    async def log_in(self) -> None:
        """Be the user."""
        raise NotImplementedError

    def empty(self) -> None:
        """Lose all that the store has."""
        raise NotImplementedError


class Linkauth(Side):
    """Workers that share linkauth's file store."""

    @property
    def order(self) -> dict[str, Any]:
        """What each worker is told."""
        return {**super().order, "store": self.url}

    @property
    def url(self) -> str:
        """Of the store."""
        return f"file:{self.path}"

    async def log_in(self) -> None:
        """Be the user."""
        async with AuthEngine(self.url) as engine:
            credential = engine.credential(LinkXGUser(base_url=self.place.base_url))
            await credential.login(email=self.place.email, password=self.place.password.reveal())

    def empty(self) -> None:
        """Remove whatever is in the folder."""
        for file in self.path.iterdir():
            file.unlink(missing_ok=True)

    async def stored(self) -> bool:
        """Whether the session is in the store."""
        store = open_store(self.url)
        try:
            reading = await store.read(token_key(LinkXGUser(base_url=self.place.base_url), "default"))
        finally:
            await store.aclose()
        return reading.record is not None

    def agreed(self) -> bool:
        """Whether every living worker holds the newest token."""
        return {self.numbers.get(report["token"], 0) for report in self.alive()} == {len(self.numbers)}

    def settled(self) -> bool:
        """Whether they do early in its life, and nobody is about to renew."""
        late = any(report["renewing"] or report["left"] < self.lifetime / 2 for report in self.alive())
        return self.agreed() and not late


class ByHand(Side):
    """Workers that share a file, each with a lock of its own."""

    async def log_in(self) -> None:
        """Be the user."""
        fields = {"email": self.place.email, "password": self.place.password.reveal()}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.place.base_url}/auth/login", json=fields) as response,
        ):
            by_hand.save(self.path, by_hand.Saved.of((await response.json())["data"], self.lifetime))

    def empty(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
