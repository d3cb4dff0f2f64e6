"""The contract's part on records: values, keys, take, delete and expiry."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from linkauth.errors import CorruptRecord
from linkauth.store import Batching, Committed, Existing, Record, Superseded, TokenStore
from linkauth.testing.hooks import LONG, Hooks, granted

__all__ = ["Records"]

ALIKE = (
    "b/c",
    "b/C",
    "B/c",
    "b.c",
    "b+c",
    "b~c",
    "b%2fc",
    "b%2Fc",
    "b%c",
    "b\\c",
    "b:c",
    ".b/c",
    "{b}/c",
    "b*",
    "b?c",
    "[b]c",
)


class Records(Hooks):
    """What stands in the store is what was put there."""

    async def test_it_has_the_protocols_methods(self) -> None:
        """A store is a ``TokenStore``, and closing it twice is harmless."""
        async with self.opened() as store:
            assert isinstance(store, TokenStore)
            await store.aclose()

    async def test_nothing_is_there_at_first(self) -> None:
        """An unknown key reads as nothing, and is not listed."""
        async with self.opened() as store:
            key = self.fresh()
            reading = await store.read(key)
            assert (reading.record, reading.note) == (None, b"")
            assert reading.now > 0
            assert (await store.take(key)).record is None
            assert [found async for found in store.keys(key)] == []

    async def test_a_value_is_read_with_the_number_it_was_written_under(self) -> None:
        """What one worker commits another reads, version and all; the next commit takes its place."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            for number, value in ((1, b"first"), (2, b"second")):
                assert isinstance(await one.commit(key, number, value), Committed)
                assert (await other.read(key)).record == Record(number, value)

    async def test_values_are_any_bytes_up_to_a_megabyte(self) -> None:
        """Every byte, nothing at all, and a megabyte come back as they went in."""
        async with self.opened() as store:
            for value in (b"", bytes(range(256)), b"\r\n\0\xff", bytes(range(256)) * 4096):
                key = self.fresh()
                await store.commit(key, 1, value)
                assert (await store.read(key)).record == Record(1, value)

    async def test_a_value_never_shows(self) -> None:
        """No answer's ``repr`` shows a value or a note."""
        async with self.opened() as store:
            key = self.fresh()
            claim = granted(await store.claim(key, "me", LONG, 0, b"canary"))
            await store.release(key, claim.number, b"canary")
            answers = [await store.commit(key, 2, b"canary"), await store.read(key)]
            answers += [await store.claim(key, "me", LONG, 0, b""), await store.claim(key, "me", LONG, 2, b"canary")]
            answers += [await store.claim(key, "you", LONG, 2, b""), await store.commit(key, 1, b"canary")]
            assert "canary" not in repr(answers)

    async def test_two_keys_never_meet(self) -> None:
        """Keys that look alike, or are long, have records, numbers and leases of their own."""
        async with self.opened() as store:
            start = f"contract/{uuid4().hex}/"
            keys = [start + end for end in ALIKE] + [(start + "X" * 200)[:199] + end for end in "ab"]
            for key in keys:
                claim = granted(await store.claim(key, "me", LONG, 0, key.encode()))
                assert (claim.number, claim.note) == (1, b""), key
                await store.commit(key, 1, key.encode())
            for key in keys:
                assert (await store.read(key)).record == Record(1, key.encode())
            assert sorted([key async for key in store.keys(start)]) == sorted(keys)

    async def test_keys_are_those_of_the_records_with_the_prefix(self) -> None:
        """Prefixes are taken literally; a key without a record, deleted, taken or expired is not listed."""
        async with self.opened() as store:
            start = f"contract/{uuid4().hex}"
            wanted = [f"{start}*/{number}" for number in range(3)]
            gone = [f"{start}*/{end}" for end in ("leased", "deleted", "taken", "expired")]
            for key in (*wanted, *gone[1:3], f"{start}+/0", f"{start}"):
                await store.commit(key, 1, b"")
            granted(await store.claim(gone[0], "me", LONG, 0, b""))
            assert await store.delete(gone[1], 2)
            await store.take(gone[2])
            await store.commit(gone[3], 1, b"", ttl=self.moment)
            await self.lapse()
            assert sorted([key async for key in store.keys(f"{start}*")]) == wanted

    async def test_many_keys_are_listed_once_each(self) -> None:
        """A listing that takes several round trips repeats nothing and leaves nothing out."""
        async with self.opened() as store:
            start = f"contract/{uuid4().hex}/"
            keys = [f"{start}{number:03}" for number in range(230)]
            await asyncio.gather(*(store.commit(key, 1, b"") for key in keys))
            assert sorted([key async for key in store.keys(start)]) == keys

    async def test_many_are_read_at_once(self) -> None:
        """Where the store reads batches: what each key holds, its note too, in the order asked for; what is not there reads as nothing."""
        async with self.opened_twice() as (one, other):
            if not isinstance(other, Batching):
                return
            keys = [self.fresh() for _ in range(120)]
            for key in keys[::2]:
                await one.commit(key, 3, key.encode())
            claim = granted(await one.claim(keys[0], "me", LONG, 3, b"note"))
            await one.release(keys[0], claim.number, b"note")
            found = [each for each in await other.read_many(keys[::-1]) if not isinstance(each, CorruptRecord)]
            assert [each.record for each in found[::-1]] == [
                None if number % 2 else Record(3, key.encode()) for number, key in enumerate(keys)
            ]
            assert [each.note for each in found[::-1]] == [b"note"] + [b""] * 119
            assert abs(found[0].now - (await one.read(keys[0])).now) < LONG
            assert await other.read_many([]) == []

    async def test_a_store_that_was_used_exists(self) -> None:
        """Where the store can tell: once something is written, it is there."""
        async with self.opened() as store:
            await store.commit(self.fresh(), 1, b"")
            assert not isinstance(store, Existing) or await store.exists()

    async def test_a_record_is_gone_after_its_ttl(self) -> None:
        """Nobody reads, takes or is handed an expired record, and numbers go on above it."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 3, b"value", ttl=self.moment)
            await self.lapse()
            assert (await store.read(key)).record is None
            assert (await store.take(key)).record is None
            claim = granted(await store.claim(key, "me", LONG, 3, b""))
            assert (claim.record, claim.number) == (None, 4)

    async def test_a_later_commit_decides_on_the_ttl(self) -> None:
        """A commit without ``ttl`` stays, whatever the one before it said."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 1, b"for a moment", ttl=self.moment)
            await store.commit(key, 2, b"for ever")
            await self.lapse()
            assert (await store.read(key)).record == Record(2, b"for ever")

    async def test_what_was_taken_is_gone(self) -> None:
        """``take`` hands the record out once, leaves lease and note, and no repeated commit brings it back."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            await one.commit(key, 1, b"once", ttl=LONG)
            claim = granted(await one.claim(key, "me", LONG, 1, b"note"))
            assert (await other.take(key)).record == Record(1, b"once")
            assert (await one.take(key)).record is None
            assert (await one.read(key)).note == b"note"
            again = await one.commit(key, 1, b"once")
            assert isinstance(again, Superseded)
            assert again.record is None
            assert await one.extend(key, claim.number, LONG)

    async def test_a_late_worker_deletes_nothing(self) -> None:
        """``delete`` under a number that is not above the version changes nothing."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 2, b"newer")
            assert not await store.delete(key, 1)
            assert not await store.delete(key, 2)
            assert (await store.read(key)).record == Record(2, b"newer")

    async def test_what_was_deleted_stays_deleted(self) -> None:
        """A delete gives the lease back and clears the note; repeating it is harmless, and a late commit is refused."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 1, b"value")
            number = granted(await store.claim(key, "me", LONG, 1, b"note")).number
            assert await store.delete(key, number)
            assert await store.delete(key, number)
            reading = await store.read(key)
            assert (reading.record, reading.note) == (None, b"")
            for late in (1, number):
                answer = await store.commit(key, late, b"from the dead")
                assert isinstance(answer, Superseded)
                assert answer.record is None
            claim = granted(await store.claim(key, "you", LONG, 0, b""))
            assert (claim.number, claim.inherited) == (number + 1, False)

    async def test_a_record_that_is_not_there_can_be_deleted(self) -> None:
        """Deleting nothing succeeds, and gives the lease back."""
        async with self.opened() as store:
            key = self.fresh()
            number = granted(await store.claim(key, "me", LONG, 0, b"")).number
            assert await store.delete(key, number)
            assert not granted(await store.claim(key, "you", LONG, 0, b"")).inherited
