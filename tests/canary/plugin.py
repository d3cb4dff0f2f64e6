"""The canary of the whole suite: while any test runs, every pocket of linkauth is looked into.

Log records of all loggers from DEBUG up with their arguments and tracebacks; every error of linkauth that is made; every
exception that a test catches with ``pytest.raises``, with its notes, attributes, context and frames; events, statuses,
warnings, and what a test wrote to stdout and stderr. A test in which a secret shows there fails.

Off in tests marked ``leaks``: they plant some.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.raises import RaisesExc

from linkauth.engine.events import EventLog
from linkauth.engine.status import Status
from linkauth.errors import LinkAuthError
from linkauth.oauth import authorization
from linkauth.oauth.token import SecretStr
from tests.canary import scan

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

FOREIGN = ("aiohttp.access", "hypothesis", "blib2to3")
"""Loggers whose records are not linkauth's doing: an app's access log holds what the app is asked."""
ENOUGH = 3000
"""Texts of one test that are kept to be looked at. What comes after is looked at for marks alone, at once."""

ERRORS = 200
"""Exceptions of one test that are walked through: ten thousand callers share one failure, and it is the same for all."""


class Canary(logging.Handler):
    """What was said while one test ran, and what was a secret then."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.secrets: set[str] = set()
        self.texts: list[tuple[str, str]] = []
        self.leaks: list[str] = []
        self.listening = False
        self.errors = 0

    def begin(self) -> None:
        self.secrets.clear()
        self.texts.clear()
        self.leaks.clear()
        self.errors = 0
        self.listening = True

    def hear(self, where: str, text: str) -> None:
        """Something was said."""
        if not self.listening:
            return
        if len(self.texts) < ENOUGH:
            self.texts.append((where, text))
        elif told := scan.found(text):
            self.leaks.append(f"{where}: {told}")

    def emit(self, record: logging.LogRecord) -> None:
        if not self.listening or record.name in FOREIGN:
            return
        where = f"log of {record.name}"
        # Everything that a formatter may show, extras included; the message is made of msg and args.
        self.hear(where, record.getMessage())
        self.hear(where, "; ".join(repr(value) for name, value in vars(record).items() if name not in USUAL))
        if record.exc_info and record.exc_info[1] is not None:
            self.error(record.exc_info[1])

    def error(self, error: BaseException) -> None:
        """An exception was seen."""
        self.errors += 1
        if self.errors <= ERRORS:
            for where, text in scan.of_error(error):
                self.hear(where, text)

    def end(self, *, by_registry: bool = True) -> list[str]:
        """What leaked since ``begin``."""
        self.listening = False
        known = [secret for secret in self.secrets if len(secret) >= scan.SHORTEST][: scan.MOST] if by_registry else []
        told = {f"{where}: {hit}" for where, text in self.texts if (hit := scan.found(text, known))}
        leaks = [*self.leaks, *sorted(told)]
        self.begin()
        self.listening = False
        return leaks


SAID = frozenset({"error", "message", "iss"})
"""A callback's parameters that are there to be shown, though they are read like the others."""
USUAL = frozenset(vars(logging.makeLogRecord({}))) - {"args"}
CANARY = Canary()


def _heeded() -> None:
    """Hook the canary in, once per process."""
    teller_tell, status_init, error_init = EventLog.tell, Status.__init__, LinkAuthError.__init__
    raises_exit, parameter = RaisesExc.__exit__, authorization.parameter

    def new(cls: type[SecretStr], value: object = "", *rest: Any) -> SecretStr:
        made = str.__new__(cls, value, *rest)
        if CANARY.listening:
            CANARY.secrets.add(str(made))
        return made

    def read(params: Any, *names: str) -> str:
        value = parameter(params, *names)
        if SAID.issuperset(names):
            CANARY.secrets.discard(str(value))
        return value

    def tell(self: EventLog, kind: Any, vendor: str, account: str, outcome: str = "", *rest: Any, **more: Any) -> None:
        CANARY.hear("an event", f"{vendor} {account} {outcome}")
        teller_tell(self, kind, vendor, account, outcome, *rest, **more)

    def status(self: Status, *args: Any, **kwargs: Any) -> None:
        status_init(self, *args, **kwargs)
        CANARY.hear("a status", repr(self))

    def error(self: LinkAuthError, *args: Any, **kwargs: Any) -> None:
        error_init(self, *args, **kwargs)
        CANARY.hear(f"a new {type(self).__name__}", repr(self.args))

    def leave(self: Any, kind: Any, value: Any, trace: Any) -> bool:
        expected = raises_exit(self, kind, value, trace)
        if expected and value is not None and CANARY.listening and CANARY.errors < ERRORS:
            CANARY.error(value)
        return expected

    authorization.parameter = read
    SecretStr.__new__ = new  # type: ignore[method-assign, assignment]
    EventLog.tell = tell  # type: ignore[method-assign]
    Status.__init__ = status  # type: ignore[method-assign]
    LinkAuthError.__init__ = error  # type: ignore[method-assign]
    RaisesExc.__exit__ = leave  # type: ignore[method-assign, assignment]
    logging.getLogger().addHandler(CANARY)
    logging.getLogger().setLevel(logging.DEBUG)
    for server in ("aiohttp.access", "uvicorn.access"):
        logging.getLogger(server).setLevel(logging.WARNING)
    # Said by every loop: a third of all records, each of which pytest formats twice.
    logging.getLogger("asyncio").addFilter(lambda record: record.msg != "Using selector: %s")


_heeded()


@pytest.fixture(autouse=True)
def canary(request: pytest.FixtureRequest) -> Iterator[Canary]:
    """No secret shows in any pocket while the test runs."""
    CANARY.begin()
    yield CANARY
    marked = request.node.get_closest_marker("leaks")
    # A generated secret may be any text: it would be found in words that have nothing to do with it.
    generated = getattr(getattr(request.node, "obj", None), "is_hypothesis_test", False)
    leaks = CANARY.end(by_registry=not generated)
    if leaks and marked is None:
        pytest.fail("a secret shows:\n" + "\n".join(leaks[:20]), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Generator[None, Any, Any]:
    """What the test wrote to stdout, stderr and its log shows no mark."""
    report = yield
    if item.get_closest_marker("leaks") is None and report.when == "teardown" and report.passed:
        for name, text in report.sections:
            if told := scan.found(text):
                report.outcome, report.longrepr = "failed", f"a secret shows in {name}: {told}"
                break
    return report


def pytest_warning_recorded(warning_message: Any, nodeid: str) -> None:
    """A warning is looked at, too; as an error it is seen with the exceptions."""
    if told := scan.found(str(warning_message.message)):
        raise scan.Leak(f"a secret shows in a warning of {nodeid}: {told}")
