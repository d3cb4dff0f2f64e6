"""OpenTelemetry: what an engine does, as metrics and spans. It needs the extra ``otel``, which is OpenTelemetry's API alone.

Metrics say of which vendor they tell, and never whose account, which URL or what scope: a metric has a line for each value of each of
its attributes, and is read by many. Spans name the account. The attributes that have a name in the semantic conventions have
that (``error.type``, ``http.response.status_code``, ``server.address``); the metrics are linkauth's own, in seconds where they are times.

| metric | what | attributes |
|---|---|---|
| ``linkauth.renewals`` | tokens that came, and did not | vendor, ``linkauth.outcome``, ``error.type`` |
| ``linkauth.renewal.duration`` | of a renewal, whatever it waited for | vendor, ``error.type`` |
| ``linkauth.renewal.callers`` | how many waited for one renewal; 0: it was done ahead of time | vendor |
| ``linkauth.wait.duration`` | how long a caller waited for a token | vendor |
| ``linkauth.request.duration`` | of a request for a token | vendor, ``http.response.status_code``, ``error.type`` |
| ``linkauth.request.retries`` | requests that were made once more | vendor |
| ``linkauth.token.refusals`` | 401s of the vendor's API | vendor |
| ``linkauth.doubts`` | renewals of which nobody knew how they ended | vendor |
| ``linkauth.connections``, ``linkauth.logouts`` | sessions that began, and that were ended | vendor |
| ``linkauth.store.operation.duration`` | of a call of the store | ``linkauth.store.operation``, ``error.type`` |
| ``linkauth.store.outages``, ``linkauth.store.recoveries`` | times that it was lost, and back | |
| ``linkauth.store.repairs`` | records that it had lost and that were put back | vendor |
| ``linkauth.credentials`` | in the store, by the last round of keep-alive | vendor, ``linkauth.state`` |
| ``linkauth.credentials.lapse`` | seconds until the first session lapses | vendor |

The last two come from the worker that made the round, until the next is due: from one in the fleet at a time.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

import attrs
from opentelemetry import context as contexts
from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation
from opentelemetry.trace import SpanKind, StatusCode

from linkauth.engine.events import EventKind
from linkauth.engine.probe import Probe
from linkauth.errors import ConfigurationError
from linkauth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.metrics import CallbackOptions, MeterProvider
    from opentelemetry.trace import TracerProvider

    from linkauth.engine.events import Event
    from linkauth.engine.probe import Census, Try
    from linkauth.front import AuthEngine

__all__ = ["instrument"]

VENDOR: Final = "linkauth.vendor"
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds of the histograms: a renewal takes from some milliseconds to two minutes."""
CALLERS: Final = (0, 1, 2, 5, 10, 50, 100, 1000, 10_000)
LATE: Final = 1.5
"""So many times the time between two rounds of keep-alive the last one's figures are told."""

OUTCOMES: Final = {
    EventKind.RENEWED: "renewed",
    EventKind.ADOPTED: "adopted",
    EventKind.FAILED: "failed",
    EventKind.REAUTHORIZATION_REQUIRED: "reauthorization_required",
}
COUNTED: Final = {
    EventKind.RETRIED: ("linkauth.request.retries", "{request}", "Requests to a vendor that were made once more."),
    EventKind.REFUSED: ("linkauth.token.refusals", "{response}", "Times that a vendor's API refused a token."),
    EventKind.IN_DOUBT: ("linkauth.doubts", "{renewal}", "Renewals of which nobody knew how they ended."),
    EventKind.CONNECTED: ("linkauth.connections", "{session}", "Sessions that began."),
    EventKind.LOGGED_OUT: ("linkauth.logouts", "{session}", "Sessions that were ended here."),
    EventKind.STORE_LOST: ("linkauth.store.outages", "{outage}", "Times that the store stopped answering."),
    EventKind.STORE_BACK: ("linkauth.store.recoveries", "{outage}", "Times that the store answered again."),
    EventKind.REPAIRED: ("linkauth.store.repairs", "{record}", "Records that the store had lost, put back."),
}
"""Name, unit and description of the counter of each kind."""
OF_THE_STORE: Final = (EventKind.STORE_LOST, EventKind.STORE_BACK)
"""No vendor's."""


def instrument(
    engine: AuthEngine, *, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
) -> None:
    """Measure what ``engine`` does from now on. A provider that is None is the global one, as OpenTelemetry has it.

    Each renewal is a span, ``renew VENDOR``, below the span of who began it, and each request for a token is one below that; a caller
    who had to wait has a span ``wait VENDOR`` of his own. Raises ``ConfigurationError`` where the engine is measured already.
    """
    event_log = engine.context.event_log
    if isinstance(event_log.probe, Telemetry):
        raise ConfigurationError("instrument: once is enough, and this engine is instrumented already")
    provider = metrics.get_meter_provider() if meter_provider is None else meter_provider
    meter = provider.get_meter("linkauth", __version__)
    if provider not in _rounds:
        _rounds[provider] = Rounds(meter)
    telemetry = Telemetry(meter, trace.get_tracer("linkauth", __version__, tracer_provider), _rounds[provider])
    event_log.probe = telemetry
    event_log.listen(telemetry.heard)


class Telemetry(Probe):
    """One engine's instruments."""

    def __init__(self, meter: metrics.Meter, tracer: trace.Tracer, rounds: Rounds) -> None:
        self._tracer = tracer
        self._rounds = rounds
        self._renewals = meter.create_counter("linkauth.renewals", "{renewal}", "Tokens that came, and did not.")
        self._counters = {kind: meter.create_counter(*names) for kind, names in COUNTED.items()}

        def times(name: str, description: str) -> metrics.Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)

        self._renewal = times("linkauth.renewal.duration", "Of a renewal, whatever it waited for.")
        self._wait = times("linkauth.wait.duration", "How long a caller waited for a token.")
        self._request = times("linkauth.request.duration", "Of a request for a token.")
        self._store = times("linkauth.store.operation.duration", "Of a call of the store.")
        self._callers = meter.create_histogram(
            "linkauth.renewal.callers",
            "{caller}",
            "How many waited for one renewal.",
            explicit_bucket_boundaries_advisory=CALLERS,
        )

    # -- events ----------------------------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """Count ``event``."""
        whose = {VENDOR: event.vendor}
        if (outcome := OUTCOMES.get(event.kind)) is not None:
            self._renewals.add(1, {**whose, "linkauth.outcome": outcome, **_error(event.error)})
        elif (counter := self._counters.get(event.kind)) is not None:
            counter.add(1, {} if event.kind in OF_THE_STORE else whose)

    # -- what is no event --------------------------------------------------------------------------------------------

    def flight(self, vendor: str, account: str) -> AbstractContextManager[None]:
        """A span around a renewal, below that of who began it."""
        return self._flight(vendor, account, contexts.get_current())

    @contextmanager
    def _flight(self, vendor: str, account: str, above: contexts.Context) -> Generator[None]:
        span = self._tracer.start_span(
            f"renew {vendor}", above, attributes={VENDOR: vendor, "linkauth.account": account}
        )
        # Not recorded as exceptions are: their tracebacks belong to nobody's backend.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except BaseException as error:
                _failed(span, type(error).__name__)
                raise

    def landed(self, vendor: str, seconds: float, callers: int, error: str) -> None:
        """Measure a renewal."""
        self._renewal.record(seconds, {VENDOR: vendor, **_error(error)})
        self._callers.record(callers, {VENDOR: vendor})

    def waited(self, vendor: str, seconds: float) -> None:
        """Measure a caller's wait; its span is below what the caller is at."""
        self._wait.record(seconds, {VENDOR: vendor})
        self._over(f"wait {vendor}", SpanKind.INTERNAL, seconds, {VENDOR: vendor}, "")

    def tried(self, one: Try) -> None:
        """Measure a request for a token; its span is below the renewal's."""
        answer = {} if one.status is None else {"http.response.status_code": one.status}
        error = one.error or (str(one.status) if one.status is not None and one.status >= 400 else "")
        self._request.record(one.duration, {VENDOR: one.vendor, **answer, **_error(error)})
        about: dict[str, str | int] = {
            VENDOR: one.vendor,
            "http.request.method": one.method,
            "server.address": one.host,
            **answer,
        }
        if one.attempt > 1:
            about["http.request.resend_count"] = one.attempt - 1
        self._over(one.method, SpanKind.CLIENT, one.duration, about, error)

    def asked_store(self, operation: str, seconds: float, error: str) -> None:
        """Measure a call of the store."""
        self._store.record(seconds, {"linkauth.store.operation": operation or "other", **_error(error)})

    def counted(self, found: Mapping[str, Census], every: float, now: float) -> None:
        """Tell what a round of keep-alive found, until the next one is due."""
        self._rounds.latest[self] = Round(found, now - time.monotonic(), time.monotonic() + every * LATE)

    def _over(self, name: str, kind: SpanKind, seconds: float, about: Mapping[str, str | int], error: str) -> None:
        """A span that has just ended."""
        ended = time.time_ns()
        span = self._tracer.start_span(name, kind=kind, attributes=about, start_time=ended - int(seconds * 1e9))
        if error:
            _failed(span, error)
        span.end(ended)


@attrs.frozen
class Round:
    """What one round of keep-alive found, by vendor."""

    found: Mapping[str, Census]
    ahead: float
    """Seconds by which the store's clock is ahead of the monotonic one."""
    good_until: float
    """Monotonic."""


class Rounds:
    """The last round of each engine that one provider measures. A provider takes the callbacks of one instrument of a name, not two."""

    def __init__(self, meter: metrics.Meter) -> None:
        self.latest: WeakKeyDictionary[Telemetry, Round] = WeakKeyDictionary()
        about = "In the store, by the last round of keep-alive."
        meter.create_observable_gauge("linkauth.credentials", [self._credentials], "{credential}", about)
        about = "Until the first session lapses."
        meter.create_observable_gauge("linkauth.credentials.lapse", [self._lapses], "s", about)

    def _credentials(self, _: CallbackOptions) -> Iterable[Observation]:
        total: Counter[tuple[str, str]] = Counter()
        for each in self._good():
            for vendor, found in each.found.items():
                for state in ("well", "failing", "needs_user"):
                    total[vendor, state] += getattr(found, state)
        return [
            Observation(count, {VENDOR: vendor, "linkauth.state": state}) for (vendor, state), count in total.items()
        ]

    def _lapses(self, _: CallbackOptions) -> Iterable[Observation]:
        first: dict[str, float] = {}
        for each in self._good():
            now = time.monotonic() + each.ahead
            for vendor, found in each.found.items():
                if found.lapses_at is not None:
                    first[vendor] = min(first.get(vendor, math.inf), found.lapses_at - now)
        return [Observation(left, {VENDOR: vendor}) for vendor, left in first.items()]

    def _good(self) -> list[Round]:
        return [each for each in tuple(self.latest.values()) if time.monotonic() < each.good_until]


_rounds: WeakKeyDictionary[MeterProvider, Rounds] = WeakKeyDictionary()
"""Of each provider."""


def _error(error: str) -> dict[str, str]:
    return {"error.type": error} if error else {}


def _failed(span: trace.Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)
