"""The file store: the contract, on real processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linkauth.testing import StoreContract
from linkauth_stores.file import FileStore

if TYPE_CHECKING:
    from pathlib import Path


class TestFileStore(StoreContract):
    """The contract, on a folder of its own."""

    sees_dead_holders = True

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "store"

    async def make_store(self) -> FileStore:
        return FileStore(self.folder)

    async def open_again(self, store: object) -> FileStore:
        return FileStore(self.folder)

    def process_url(self) -> str:
        return f"file:{self.folder}"
