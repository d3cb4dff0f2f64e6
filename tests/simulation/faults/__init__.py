"""Planted faults: wrong engines and stores, each of a few lines. A simulation that lets one through proves nothing.

Each says what is wrong, which schedules are tried, and within how many of them it must be caught.
"""

from __future__ import annotations

from tests.simulation.faults import clocks, elsewhere, engine, outage, store, user
from tests.simulation.faults.planting import FAULTS, HARMLESS, Planted, hunt

__all__ = ["FAULTS", "HARMLESS", "Planted", "clocks", "elsewhere", "engine", "hunt", "outage", "store", "user"]
