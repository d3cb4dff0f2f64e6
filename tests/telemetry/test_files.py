"""The dashboard and the alerts that are shipped: every metric in them is one that a real exporter shows, with those labels."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from linkauth import AuthEngine
from linkauth.engine.events import EventKind
from linkauth.errors import StoreUnavailable, VendorUnavailable
from linkauth_stores.memory import MemoryStore

FILES = Path(__file__).resolve().parents[2] / "docs/operations"
ALERTS, DASHBOARD = FILES / "alerts.yml", FILES / "grafana.json"

pytestmark = pytest.mark.long


class Fragile(MemoryStore):
    """One that may be away."""

    away = False

    async def read(self, key):
        if self.away:
            raise OSError
        return await super().read(key)


async def everything(engine: AuthEngine, store: Fragile, sandbox, user, linkxg) -> None:
    """One of each thing that can happen to an engine."""
    person = sandbox.linkxg.add_user(email="ada@example.com")
    credential = engine.credential(user, "ada")
    await credential.login(email=person.email, password=person.password)
    await credential.refresh()
    sandbox.linkxg.fault("token", status=503, times=1)
    client = engine.credential(linkxg)
    await client.token()
    await client.replacement(await client.token())
    # What brings it about takes minutes (tests/engine/test_doubt.py).
    engine.context.event_log.tell(EventKind.IN_DOUBT, "linkxg", "default")
    sandbox.linkxg.fault("token", status=503, times=None)
    with pytest.raises(VendorUnavailable):
        await client.refresh()
    await engine.keep_alive(user, rounds=1)
    store._slots.clear()
    await credential.replica.put_back()
    store.away = True
    with pytest.raises(StoreUnavailable):
        await credential.status()
    store.away = False
    await credential.status()
    await credential.logout()


@pytest.fixture
async def shown(sandbox, user, linkxg) -> set[str]:
    """Every series that Prometheus would read: its name, and its name with each of its labels."""
    prometheus = pytest.importorskip("opentelemetry.exporter.prometheus", reason="the exporter is not installed")
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import REGISTRY, generate_latest

    from linkauth.telemetry import instrument

    meters, store = MeterProvider([prometheus.PrometheusMetricReader()]), Fragile()
    async with AuthEngine(store, timeout=1.0) as engine:
        instrument(engine, meter_provider=meters)
        await everything(engine, store, sandbox, user, linkxg)
        text = generate_latest(REGISTRY).decode()
    meters.shutdown()
    return {line for line in text.splitlines() if line.startswith("linkauth_")}


def spoken(text: str) -> set[str]:
    """Every word of linkauth's: metrics and labels."""
    return set(re.findall(r"\blinkauth_[a-z_]+", text))


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=["alerts", "dashboard"])
async def test_every_name_is_one_that_an_exporter_shows(shown, file):
    """Metrics and labels in the file are in what Prometheus reads of an engine to which everything has happened."""
    known = spoken("\n".join(shown))
    assert spoken(file.read_text()) - known == set()


async def test_nothing_that_is_measured_is_left_out(shown):
    """Each metric has a place in the dashboard."""
    metrics = {re.sub("_(bucket|count|sum)$", "", line.partition("{")[0]) for line in shown}
    metrics = {name for name in metrics if not name.endswith("_created")}
    assert {name for name in metrics if name not in DASHBOARD.read_text()} == set()


def test_the_dashboard_is_one_that_grafana_can_read():
    """JSON with a title, an id for each panel, and a query in each that asks the chosen source."""
    board = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 10
    assert all(
        target["expr"] and target["datasource"]["uid"] == "${datasource}"
        for each in panels
        for target in each["targets"]
    )


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on this machine (Debian: apt install prometheus)"
)
@pytest.mark.parametrize(
    "command", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")], ids=["check", "test"]
)
@pytest.mark.blocking
def test_prometheus_takes_the_alerts(tmp_path, command):
    """Its own tool reads them, and sees them fire where they should and be quiet where all is well."""
    shutil.copy(ALERTS, tmp_path)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    said = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
