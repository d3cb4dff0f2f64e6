"""Wrong engines: logins, logouts, client secrets, keep-alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from linkauth.engine import keep_alive as keeping
from linkauth.engine import runtime as runtimes
from linkauth.engine.client_secrets import ClientSecret, ClientSecrets, as_record
from linkauth.engine.credential import Credential
from linkauth.engine.lease import Lease
from linkauth.engine.runtime import Runtime
from linkauth.engine.token_replica import TokenReplica
from linkauth.protocol import lineage as lineages
from linkauth.protocol import session as sessions
from linkauth.protocol import timing
from linkauth.protocol.client_secret import CommitSecret
from linkauth.protocol.effects import Commit, Forget
from linkauth.protocol.lineage import new_session
from linkauth.store import Busy, Granted
from tests.simulation.faults.planting import Instead, give_up, planted, rewriting, serve
from tests.simulation.faults.schedules import stalls_at_the_logout, stalls_with_a_logins_answer
from tests.simulation.store import StoreNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkauth.protocol.effects import Effect


@planted(300, "comings and goings")
def a_logout_of_what_was_held_before() -> Iterator[tuple[Any, str, Any]]:
    """A logout revokes what this worker held, and not what others have stored since."""
    yield TokenReplica, "know", lambda self, record, time: None


@planted(50, "calm", stalls_at_the_logout)
def a_logout_is_undone() -> Iterator[tuple[Any, str, Any]]:
    """A logout that came too late to be written counts as done."""

    def undisturbed(_: object) -> Any:
        return True
        yield

    async def forget(self: Runtime, effect: Forget) -> bool:
        await real(self, effect)
        return True

    async def held(self: Lease) -> bool:
        return True

    real = Runtime._forget
    yield Lease, "held", held
    yield sessions, "_is_undisturbed", undisturbed
    yield Runtime, "_forget", forget


@planted(300, "comings and goings")
def a_logout_forgets_here_alone() -> Iterator[tuple[Any, str, Any]]:
    """The store is not told of a logout."""

    async def forget(self: TokenReplica, number: int, reason: str, session: Any) -> bool:
        give_up(self, reason, number)
        return True

    yield runtimes, "forget", forget


@planted(300, "comings and goings")
def a_login_overwrites_nothing() -> Iterator[tuple[Any, str, Any]]:
    """A login serves its token, and leaves the record as it was."""

    def rewrite(self: Runtime, effect: Effect) -> Effect | Instead:
        if isinstance(effect, Commit) and effect.number:
            serve(self, effect.token, effect.number, self._time, effect.lineage)
            return Instead(effect.token)
        return effect

    yield rewriting(rewrite)


@planted(100, "new secrets")
def a_secret_used_and_not_stored() -> Iterator[tuple[Any, str, Any]]:
    """A new client secret is used by the process that has it, and nobody else hears of it."""

    def rewrite(self: Runtime, effect: Effect) -> Effect | Instead:
        if isinstance(effect, CommitSecret):
            secret = self._context.client_secrets.of(self.vendor)
            secret.learn(as_record(self.vendor, effect.secret, None), self._lease.number)
            return Instead(True)
        return effect

    yield rewriting(rewrite)


@planted(1000, "new secrets")
def a_refused_secret_is_not_looked_up() -> Iterator[tuple[Any, str, Any]]:
    """A worker does not ask the store for a newer client secret, not even when its own is refused."""

    async def newer(self: ClientSecrets, vendor: Any, refused: Any) -> None:
        return None

    yield ClientSecrets, "newer", newer
    yield ClientSecret, "is_stale", lambda self: False


@planted(300, "new secrets")
def a_newer_secret_is_not_looked_for() -> Iterator[tuple[Any, str, Any]]:
    """Only who is refused looks whether somebody has replaced the client's secret."""
    yield ClientSecret, "is_stale", lambda self: False


@planted(300, "new secrets")
def a_rotation_that_gives_up() -> Iterator[tuple[Any, str, Any]]:
    """A new client secret is dropped where the store does not take it at once."""

    def rewrite(_: Runtime, effect: Effect) -> Effect:
        return attrs.evolve(effect, irreplaceable=False) if isinstance(effect, CommitSecret) else effect

    yield rewriting(rewrite)


@planted(100, "keep alive")
def keep_alive_without_its_lease() -> Iterator[tuple[Any, str, Any]]:
    """Every worker makes every round."""

    def do_claim(self: StoreNode, slot: Any, now: float, owner: str, ttl: float, newer_than: int, note: bytes) -> Any:
        after, answer = slot.claim(owner, ttl, newer_than, note, now)
        if isinstance(answer, Busy) and ttl == timing.ROUND_LEASE:
            found = Granted(record=answer.record, note=b"", now=now, number=slot.lease.number)
            return slot, found
        return after, answer

    yield StoreNode, "do_claim", do_claim


@planted(20, "keep alive")
def keep_alive_too_late() -> Iterator[tuple[Any, str, Any]]:
    """Refresh tokens are renewed when they have lapsed."""
    yield keeping, "EARLIEST", 1.01
    yield keeping, "LATEST", 1.02


@planted(100, "keep alive")
def keep_alive_by_the_token_that_is_served() -> Iterator[tuple[Any, str, Any]]:
    """A round asks for a token, and takes one that is good for a renewed one."""

    async def refresh(self: Credential) -> Any:
        return self._state.token

    yield Credential, "refresh", refresh


@planted(100, "calm", stalls_with_a_logins_answer)
def a_login_under_the_number_of_its_claim() -> Iterator[tuple[Any, str, Any]]:
    """Whoever claimed when its lease had ended writes the session before over it."""
    yield timing, "CLAIMED_MEANWHILE", 0


@planted(300, "comings and goings")
def the_number_orders() -> Iterator[tuple[Any, str, Any]]:
    """A login is written as the store counts, and which of two tokens is later is told by the number."""

    def claim(me: Any) -> Any:
        override = yield from real(me)
        number = max(me.version, override.record.version if override.record else 0) + 1
        lineage = new_session(number, me.lineage.session, me.entropy(8))
        return attrs.evolve(override, number=number, lineage=lineage)

    real = sessions.claim
    yield sessions, "claim", claim
    yield lineages, "_is_later", lambda one, number, other, others: number > others
