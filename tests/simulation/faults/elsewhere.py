"""Wrong engines: sessions that were made elsewhere come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth.engine.runtime import Runtime
from linkauth.protocol import adoption
from linkauth.protocol.effects import Commit, Forget
from tests.simulation.faults.planting import Instead, planted, rewriting, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkauth.protocol.effects import Effect

COMING_IN = "sessions from elsewhere"


@planted(100, COMING_IN)
def an_adoption_that_is_not_stored_first() -> Iterator[tuple[Any, str, Any]]:
    """What comes in is renewed, and stored with what that brings; nobody looks whether the store has it."""

    def rewrite(self: Runtime, effect: Effect) -> Effect | Instead:
        if isinstance(effect, Commit) and effect.number and not effect.token.access_token:
            serve(self, effect.token, effect.number, self._time, effect.lineage)
            return Instead(effect.token)
        return effect

    yield rewriting(rewrite)
    yield Runtime, "lacks", lambda self, record: False


@planted(300, COMING_IN)
def an_adoption_over_what_lives() -> Iterator[tuple[Any, str, Any]]:
    """What comes in takes the place of whatever is here."""
    yield adoption, "_fault", lambda me, token, record, replace: None


@planted(300, COMING_IN)
def a_refused_adoption_that_leaves_its_mark() -> Iterator[tuple[Any, str, Any]]:
    """Where nothing was before, the store goes on saying that the user has to log in."""

    def rewrite(_: Runtime, effect: Effect) -> Effect | Instead:
        return Instead(True) if isinstance(effect, Forget) and not effect.reason else effect

    yield rewriting(rewrite)


@planted(1000, COMING_IN)
def a_refused_adoption_takes_what_came_since() -> Iterator[tuple[Any, str, Any]]:
    """What is withdrawn is whatever stands there by then."""

    def withdraw(me: Any, adopted: Any) -> Any:
        override = yield from adoption.claim(me)
        yield Forget("", override.number, None)
        yield adoption.Release()

    yield adoption, "withdraw", withdraw
