"""What ``linkauth.store.TokenStore`` promises, as tests that every store passes."""

from __future__ import annotations

from linkauth.testing.crowds import Crowds
from linkauth.testing.leases import Leases
from linkauth.testing.processes import Processes
from linkauth.testing.records import Records
from linkauth.testing.waiting import Waiting

__all__ = ["StoreContract"]


class StoreContract(Records, Leases, Waiting, Crowds, Processes):
    """Subclass it in a test module, say how to make the store, and run pytest with ``asyncio_mode = "auto"``::

        class TestMyStore(StoreContract):
            async def make_store(self) -> TokenStore:
                return MyStore("somewhere")

            async def open_again(self, store: TokenStore) -> TokenStore:
                return MyStore("somewhere")  # the same data, as another worker sees it

    What else it may say is in ``linkauth.testing.hooks.Hooks``: a clock to move instead of sleeping, the URL by which
    other processes find the data, and whether dead holders are recognised at once.
    """
