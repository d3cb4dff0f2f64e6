"""What the tests of the fleet do over and over: log in, expire, look whether the session lives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import linkauth
from linkauth import LinkXGUser
from linkauth.protocol import timing
from linkauth.protocol.keys import token_key
from tests.fleet.fleet import Refused

if TYPE_CHECKING:
    from linkauth.sandbox import Sandbox
    from tests.fleet.fleet import Fleet, Worker
    from tests.servers import Server


PATIENT = frozenset({"VendorUnavailable", "NotSent", "NoAnswer", "StoreUnavailable"})
"""Nobody has to act on these: they pass."""


class Scene:
    """A sandbox, a fleet of LinkXG users' workers, and where there is one a Valkey that they share."""

    def __init__(self, sandbox: Sandbox, fleet: Fleet, valkey: Server | None = None) -> None:
        self.sandbox = sandbox
        self.fleet = fleet
        self.valkey = valkey
        self._client: Any = None
        self._looks = 0
        self.vendor = sandbox.linkxg
        self.counts = sandbox.linkxg.counts
        fleet.order["vendor"] = {"class": "LinkXGUser", "base_url": self.vendor.base_url}

    def lifetime(self, seconds: float) -> None:
        """How long the access tokens live that are issued from now on."""
        self.vendor.settings.user_token_lifetime = seconds

    async def login(self, worker: Worker, account: str = "default") -> dict[str, Any]:
        """Log in by the test user's password."""
        return await worker.ask("login", email=self.vendor.email, password=self.vendor.password, account=account)

    async def expired(self, worker: Worker, seconds: float = 1.0) -> None:
        """Log in with a token that is over in a moment, then wait for that. Those that follow last."""
        self.lifetime(seconds)
        await self.login(worker)
        self.last(900.0)
        await asyncio.sleep(seconds)

    def last(self, seconds: float) -> None:
        """What is issued from now on lasts so long. What was over on its way, on a busy machine, and renewed does not count."""
        self.lifetime(seconds)
        self.counts["refresh_token"] = self.counts["refresh_requests"] = 0

    async def account(self, worker: Worker, name: str) -> None:
        """Make a user for the account ``name`` and log in."""
        user = self.vendor.add_user(email=f"{name}@example.com")
        await worker.ask("login", email=user.email, password=user.password, account=name)

    def calls(self) -> int:
        """Steps that the store was asked for so far."""
        stats = self._look("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))

    def commands(self) -> int:
        """Commands of any kind that the store was sent so far, these looks excepted."""
        before, self._looks = self._looks, self._looks + 1
        return int(self._look("stats")["total_commands_processed"]) - before

    def _look(self, section: str) -> dict[str, Any]:
        assert self.valkey is not None
        if self._client is None:
            self._client = self.valkey.client()
            self._client.ping()
        return self._client.info(section)

    async def served(self, *workers: Worker, patient: frozenset[str] = PATIENT) -> None:
        """All of them are given a token that the vendor honours, in the end; nobody is sent for the user."""
        for worker in workers:
            async with asyncio.timeout(90):
                while True:
                    try:
                        self.vendor.tokens.check((await worker.ask("token"))["access_token"])
                        break
                    except Refused as error:
                        assert error.kind in patient, error
                        await asyncio.sleep(0.05)

    async def stored(self, account: str = "default") -> int:
        """The version of the account's record."""
        store = linkauth.open_store(self.fleet.order["store"])
        try:
            record = (await store.read(self.key(account))).record
        finally:
            await store.aclose()
        return 0 if record is None else record.version

    @property
    def lease(self) -> float:
        """Seconds that a worker's lease lasts."""
        return self.fleet.order["engine"]["timeout"] + self.fleet.order["constants"].get(
            "LEASE_MORE", timing.LEASE_MORE
        )

    def key(self, account: str = "default") -> str:
        """Where the store keeps an account's token."""
        return token_key(LinkXGUser(base_url=self.vendor.base_url), account)

    def untouched(self) -> bool:
        """The vendor saw no token twice, nobody logged in anew, and one exchange at a time."""
        return (
            self.counts["refresh_reuse"] == 0 and self.counts["password"] <= 1 and self.counts["refresh_at_once"] <= 1
        )
