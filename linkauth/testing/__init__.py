"""For authors of vendors and stores: ``play`` a vendor's flow without a loop, and the contract every store passes."""

from __future__ import annotations

from linkauth.testing.contract import StoreContract
from linkauth.testing.flows import play

__all__ = ["StoreContract", "play"]
