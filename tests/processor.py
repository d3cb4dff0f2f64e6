"""How much the processor had to do. A busy machine, which has it do something else meanwhile, changes nothing of that."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["at_most"]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """The block takes no more of the processor: many times what it takes, and a fraction of what it took if it were quadratic."""
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds
