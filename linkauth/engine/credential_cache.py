"""The credentials of an engine: one object for each account as long as somebody needs it, and no longer.

Whoever holds one keeps it. Whoever does not, but names it for each request, finds it again among those that were used last,
and its token in memory. Those used before that are let go of, for a service may have a hundred thousand accounts that come
once: what is known of them lies in the store, and costs a look when they come again. What does not lie there keeps its
credential: a token or an answer that the store has not got, what an API said of a token a moment ago (``must_stay``).
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

    from linkauth.vendors.vendor import Vendor

__all__ = ["Cached", "CredentialCache"]

RECENT: Final = 10_000
"""Credentials that are kept though nobody holds them: some 30 MB with their tokens. They are also what this worker can put
back into a store that lost data, so they are more than a worker renews between two snapshots of it.
"""


class Cached(Protocol):
    """A credential, as far as it matters here."""

    def must_stay(self) -> bool:
        """Whether something would be lost with it."""
        ...


C = TypeVar("C", bound=Cached)


class CredentialCache(Generic[C]):
    """All that an engine has made and somebody needs. Loops in several threads may share it."""

    __slots__ = ("_known", "_making", "_recent", "vendors")

    def __init__(self) -> None:
        self._known: WeakValueDictionary[tuple[Vendor, str], C] = WeakValueDictionary()
        self._recent: OrderedDict[Cached, None] = OrderedDict()
        self._making = Lock()
        self.vendors: dict[Vendor, None] = {}
        """Every one that was named, the first one first: those whose accounts keep-alive renews."""

    def get(self, vendor: Vendor, account: str, make: Callable[[], C]) -> C:
        """The credential of ``account``, which ``make`` makes where there is none."""
        found = self._known.get((vendor, account))
        if found is None:
            with self._making:
                found = self._known.get((vendor, account))
                if found is None:
                    found = self._known[vendor, account] = make()
                    self.vendors[vendor] = None
        self.used(found)
        return found

    def used(self, credential: Cached) -> None:
        """It was named, or something began that may leave with it what nobody else knows."""
        try:
            self._recent.move_to_end(credential)
        except KeyError:
            self._recent[credential] = None
            self._let_go()

    def _let_go(self) -> None:
        # Two for each that comes: so those that had to stay for a while are worked off.
        for _ in range(2):
            if len(self._recent) <= RECENT:
                return
            # Should other threads do the same just now, thousands are left all the same.
            oldest, _ = self._recent.popitem(last=False)
            if oldest.must_stay():
                self._recent[oldest] = None
