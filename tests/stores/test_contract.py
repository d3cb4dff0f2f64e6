"""The contract catches stores that break a promise: faults planted in the rules, and what finds each."""

from __future__ import annotations

import asyncio
import inspect
from types import ModuleType

import pytest

from linkauth.testing.leases import Leases
from linkauth.testing.records import Records
from linkauth.testing.waiting import Waiting
from linkauth_stores import memory, slot

RULES = inspect.getsource(slot)

RELEASE = "\n            return self, False\n        return attrs.evolve(self, lease=None"

# What is planted, the line that is right, and what stands in its place.
FAULTS = [
    ("a newer record is not handed back", "if record is not None and record.version > newer_than:", "if False:"),
    ("a repeated claim is told its own note", "note=lease.found, now=now, number", "note=self.note, now=now, number"),
    (
        "a number is given twice",
        "number = max(self.last, newer_than) + 1",
        "number = max(self.version, newer_than) + 1",
    ),
    ("a lost store starts again", "number = max(self.last, newer_than) + 1", "number = self.last + 1"),
    ("two hold at once", "if lease is not None and lease.until > now:", "if False:"),
    ("leases never end", "if lease is not None and lease.until > now:", "if lease is not None:"),
    ("a clock that was set back prolongs a lease", "if self.until > now + self.span else", "if False else"),
    (
        "a lease is shortened anew each time",
        "attrs.evolve(self, lease=lease)\n            return stands",
        "self\n            return stands",
    ),
    (
        "an extended lease has its old span",
        "attrs.evolve(self, until=now + seconds, span=seconds)",
        "attrs.evolve(self, until=now + seconds)",
    ),
    (
        "a repeated claim leaves no note",
        "lease=lease, note=note), self._granted(lease, now)\n        if",
        "lease=lease), self._granted(lease, now)\n        if",
    ),
    ("whose lease it is has no number", "remaining=left, number=lease.number", "remaining=left"),
    ("nobody inherits", "inherited=lease is not None", "inherited=False"),
    ("everybody inherits", "inherited=lease is not None", "inherited=True"),
    ("no fence", "return self, Superseded(", "return self._written(number, value, None), Superseded("),
    ("a repeated commit is refused", "if record == Record(number, value):", "if False:"),
    ("any value passes for a repeat", "record == Record(number, value)", "record and record.version == number"),
    ("a late commit ends the later lease", "self.lease.number != number:\n            return written", "False: pass"),
    ("a commit keeps its note", 'attrs.evolve(written, lease=None, note=b"")', "attrs.evolve(written, lease=None)"),
    ("a commit keeps its lease", 'lease=None, note=b"")', 'note=b"")'),
    ("a blind delete", "return self, self.record(now) is None", "return attrs.evolve(self, value=None), True"),
    ("the deleted comes back", "version=number, value=value, ex", "version=number if value else 0, value=value, ex"),
    ("what was taken stays", "attrs.evolve(self, value=None)), found", "self), found"),
    ("a late release", f"lease.until <= now:{RELEASE}", f"False:{RELEASE}"),
    ("a blind release", f"lease.number != number or lease.until <= now:{RELEASE}", f"False:{RELEASE}"),
    ("records do not expire", "or (self.expires is not None and self.expires <= now)", ""),
    ("nobody is woken for a newer record", "and (self.version <= newer_than or self.record(now) is None)", ""),
]


async def _broken(module: ModuleType) -> list[str]:
    """The first promise that a memory store with ``module``'s rules breaks."""

    class Contract(Records, Leases, Waiting):
        moment = 5.0
        ahead = 0.0

        async def make_store(self) -> memory.MemoryStore:
            return memory.MemoryStore(clock=lambda: asyncio.get_running_loop().time() + self.ahead)

        async def advance(self, seconds: float) -> None:
            self.ahead += seconds

        async def set_back(self, seconds: float) -> bool:
            self.ahead -= seconds
            return True

    for name in dir(Contract):
        if name.startswith("test_"):
            try:
                async with asyncio.timeout(2):
                    await getattr(Contract(), name)()
            except (AssertionError, TimeoutError, ExceptionGroup):
                return [name]
    return []


def _with(right: str, wrong: str) -> ModuleType:
    assert right in RULES, "the rules have changed: plant the fault anew"
    module = ModuleType("planted_slot")
    exec(compile(RULES.replace(right, wrong), "planted_slot", "exec"), vars(module))
    return module


@pytest.mark.parametrize(("fault", "right", "wrong"), FAULTS, ids=[fault for fault, *_ in FAULTS])
async def test_a_planted_fault_is_caught(fault: str, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with this fault does not pass."""
    module = _with(right, wrong)
    monkeypatch.setattr(memory, "Slot", module.Slot)
    assert await _broken(module), f"nobody noticed: {fault}"


async def test_the_rules_as_they_are_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same harness finds nothing where nothing was planted."""
    module = _with("FORMAT = 1", "FORMAT = 1")
    monkeypatch.setattr(memory, "Slot", module.Slot)
    assert await _broken(module) == []
