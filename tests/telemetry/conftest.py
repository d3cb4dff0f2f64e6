"""An engine with its vendors on loopback, and what OpenTelemetry's SDK has read of it."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from linkauth import LinkXG, LinkXGUser
from linkauth.sandbox import Sandbox
from linkauth.telemetry import instrument


class Seen:
    """What was measured, and the spans that ended."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._spans = InMemorySpanExporter()
        self.meters = MeterProvider([self._reader])
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))

    def instrument(self, engine):
        instrument(engine, meter_provider=self.meters, tracer_provider=self.tracers)
        return engine

    def points(self, name: str) -> list:
        """The data points of a metric."""
        found = self._reader.get_metrics_data()
        scopes = [scope for resource in (found.resource_metrics if found else ()) for scope in resource.scope_metrics]
        return [
            point for scope in scopes for each in scope.metrics if each.name == name for point in each.data.data_points
        ]

    def counts(self, name: str) -> dict[tuple, int]:
        """By the values of its attributes: how often something was counted, or measured; of a gauge its value."""
        return {
            tuple(point.attributes.values()): getattr(point, "count", None) or point.value
            for point in self.points(name)
        }

    def all_attributes(self) -> set[tuple[str, object]]:
        """Every attribute of every metric."""
        found = self._reader.get_metrics_data()
        scopes = [scope for resource in found.resource_metrics for scope in resource.scope_metrics]
        points = [point for scope in scopes for each in scope.metrics for point in each.data.data_points]
        return {pair for point in points for pair in point.attributes.items()}

    def names(self) -> set[str]:
        """Of all metrics that have anything to show."""
        found = self._reader.get_metrics_data()
        return {
            each.name
            for resource in found.resource_metrics
            for scope in resource.scope_metrics
            for each in scope.metrics
        }

    def spans(self) -> list:
        return list(self._spans.get_finished_spans())


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
async def sandbox():
    async with Sandbox() as running:
        yield running


@pytest.fixture
def linkxg(sandbox):
    part = sandbox.linkxg
    return LinkXG(
        client_id=part.client_id, client_secret=part.client_secret, base_url=part.base_url, scope="products:read"
    )


@pytest.fixture
def user(sandbox):
    """Its accounts log in with an e-mail and a password, and their refresh tokens rotate."""
    return LinkXGUser(base_url=sandbox.linkxg.base_url)
