"""What a planted fault is, and how it is hunted."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs

from linkauth.engine.runtime import Runtime
from linkauth.protocol.lineage import UNKNOWN
from linkauth.protocol.records import DeadRecord
from tests.simulation.campaign import quiet
from tests.simulation.plan import make
from tests.simulation.world import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from linkauth.engine.token_replica import TokenReplica
    from linkauth.oauth.token import Token
    from linkauth.protocol.effects import Effect
    from linkauth.protocol.freshness import StoreTime
    from linkauth.protocol.lineage import Lineage
    from tests.simulation.plan import Plan
    from tests.simulation.world import Outcome

__all__ = ["FAULTS", "HARMLESS", "Instead", "Planted", "give_up", "harmless", "hunt", "planted", "rewriting", "serve"]


@attrs.frozen
class Planted:
    """``plant`` yields what to replace: ``(owner, name, replacement)``."""

    name: str
    what: str
    plant: Callable[[], Iterator[tuple[Any, str, Any]]]
    within: int
    """Schedules; about ten times as many as it took when this was written."""
    scenario: str | None = None
    bias: Callable[[Plan], None] | None = None
    """Makes of a plan one in which the fault can show."""


FAULTS: list[Planted] = []
HARMLESS: list[Planted] = []
"""Wrong, and yet no promise is broken: somewhere else there is a second guard."""


def harmless(within: int, scenario: str | None = None, bias: Callable[[Plan], None] | None = None) -> Any:
    """As ``planted``, for what must do no harm in that many schedules."""

    def add(plant: Callable[[], Iterator[tuple[Any, str, Any]]]) -> Any:
        what = (plant.__doc__ or "").strip()
        HARMLESS.append(Planted(plant.__name__.replace("_", " "), what, plant, within, scenario, bias))
        return plant

    return add


@attrs.frozen
class Instead:
    """What an effect comes to, without being performed."""

    result: Any = None


def rewriting(rewrite: Callable[[Runtime, Effect], Effect | Instead]) -> tuple[Any, str, Any]:
    """A fault in the steps of a renewal: what they want is rewritten, or does not come about at all."""
    real = Runtime._perform

    async def perform(self: Runtime, effect: Effect) -> Any:
        wanted = rewrite(self, effect)
        return wanted.result if isinstance(wanted, Instead) else await real(self, wanted)

    return Runtime, "_perform", perform


def serve(me: Runtime, token: Token, version: int, time: StoreTime, lineage: Lineage = UNKNOWN) -> None:
    """A fault in what is known: ``token`` is served as if the store had it."""
    me._replica.observe(me._replica._entry(token, version, lineage), time)


def give_up(replica: TokenReplica, reason: str, version: int) -> None:
    """A fault in what is known: only the user can help, and nobody else is told."""
    mark = DeadRecord(vendor=replica.vendor.name, account=replica.account, reason=reason)
    over = replica.state.entry
    replica.learn(lambda state: state.refused(mark, version, over))


def planted(within: int, scenario: str | None = None, bias: Callable[[Plan], None] | None = None) -> Any:
    """Add a fault: the function's name is its name, its docstring says what is wrong."""

    def add(plant: Callable[[], Iterator[tuple[Any, str, Any]]]) -> Any:
        what = (plant.__doc__ or "").strip()
        FAULTS.append(Planted(plant.__name__.replace("_", " "), what, plant, within, scenario, bias))
        return plant

    return add


@contextmanager
def grown(fault: Planted) -> Iterator[None]:
    """While this lasts, the fault is there."""
    with ExitStack() as stack:
        for owner, name, replacement in fault.plant():
            stack.enter_context(patch.object(owner, name, replacement))
        yield


def hunt(fault: Planted, first: int = 0) -> tuple[int, Outcome | None]:
    """After how many schedules it was caught, and by which; None: it was not."""
    with quiet(), grown(fault):
        for tried in range(1, fault.within + 1):
            plan = make(first + tried - 1, fault.scenario)
            if fault.bias is not None:
                fault.bias(plan)
            outcome = run(plan)
            if outcome.problem:
                return tried, outcome
    return fault.within, None
