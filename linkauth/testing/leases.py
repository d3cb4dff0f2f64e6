"""The contract's part on leases: numbers, fencing, notes and time."""

from __future__ import annotations

import pytest

from linkauth.store import Busy, Committed, Newer, Record, Superseded
from linkauth.testing.hooks import LONG, Hooks, granted

__all__ = ["Leases"]


class Leases(Hooks):
    """One holder at a time, and who claimed later wins."""

    async def test_numbers_grow_by_one(self) -> None:
        """Each grant is one above the last, through release, commit, delete and take."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            for number, store in enumerate((one, other, one, other, one), 1):
                claim = granted(await store.claim(key, f"owner {number}", LONG, number, b""))
                assert claim.number == number + 1
                match number:
                    case 1:
                        await store.release(key, claim.number)
                    case 2:
                        await store.commit(key, claim.number, b"value")
                    case 3:
                        await store.delete(key, claim.number)
                    case _:
                        await store.commit(key, claim.number, b"value")
                        await store.take(key)

    async def test_numbers_do_not_depend_on_what_the_claimant_knows(self) -> None:
        """A claimant that knows nothing is numbered above all before it; a number is not given twice after a delete."""
        async with self.opened() as store:
            key = self.fresh()
            first = granted(await store.claim(key, "a", LONG, 0, b""))
            await store.release(key, first.number)
            second = granted(await store.claim(key, "b", LONG, 0, b""))
            await store.delete(key, second.number)
            third = granted(await store.claim(key, "c", LONG, 0, b""))
            assert [first.number, second.number, third.number] == [1, 2, 3]

    async def test_a_store_that_lost_its_data_goes_on_from_what_the_claimant_knows(self) -> None:
        """The number is above ``newer_than`` and above whatever was committed under a number never given here."""
        async with self.opened() as store:
            key, other = self.fresh(), self.fresh()
            assert granted(await store.claim(key, "me", LONG, 41, b"")).number == 42
            await store.commit(other, 9, b"value")
            assert granted(await store.claim(other, "me", LONG, 9, b"")).number == 10

    async def test_a_newer_record_is_handed_back(self) -> None:
        """A claimant that knows less than the record gets it, and no lease; one that knows it gets the lease."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 5, b"value")
            claim = await store.claim(key, "me", LONG, 4, b"note")
            assert isinstance(claim, Newer)
            assert (claim.record, claim.note) == (Record(5, b"value"), b"")
            assert (await store.read(key)).note == b""
            assert granted(await store.claim(key, "you", LONG, 5, b"")).record == Record(5, b"value")

    async def test_a_held_lease_says_by_whom_and_for_how_long(self) -> None:
        """The second claimant learns holder, time left, record and note, and leaves no note of its own."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            await one.commit(key, 1, b"value")
            granted(await one.claim(key, "the first", LONG, 1, b"note"))
            claim = await other.claim(key, "the second", LONG, 1, b"another")
            assert isinstance(claim, Busy)
            assert claim.holder == "the first"
            assert 0 < claim.remaining <= LONG
            assert (claim.record, claim.note) == (Record(1, b"value"), b"note")
            assert (await one.read(key)).note == b"note"

    async def test_a_repeated_claim_gets_the_same_answer(self) -> None:
        """An owner whose answer was lost gets number, found note and inheritance again, not its own note."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            granted(await one.claim(key, "lost", self.moment, 0, b"in doubt"))
            await self.lapse()
            first = granted(await one.claim(key, "me", LONG, 0, b"mine"))
            again = granted(await other.claim(key, "me", LONG, 0, b"mine"))
            for claim in (first, again):
                assert (claim.number, claim.note, claim.inherited) == (2, b"in doubt", True)

    async def test_a_lease_is_given_back_in_its_holders_name(self) -> None:
        """By whoever knows that he is dead: the second claimant learns his number, and the note stays as he left it."""
        async with self.opened_twice() as (one, other):
            key, dead = self.fresh(), f"{'d' * 24}.{'0' * 16}.4194304.{'9' * 20}"
            await one.commit(key, 1, b"value")
            lost = granted(await one.claim(key, dead, LONG, 1, b"in doubt"))
            busy = await other.claim(key, "next", LONG, 1, b"mine")
            assert isinstance(busy, Busy)
            assert (busy.holder, busy.note) == (dead, b"in doubt")
            assert busy.number == lost.number
            assert await other.release(key, busy.number, busy.note)
            assert not await other.release(key, busy.number, busy.note)
            assert not await one.extend(key, lost.number, LONG)
            claim = granted(await other.claim(key, "next", LONG, 1, b""))
            assert (claim.number, claim.note, claim.record) == (lost.number + 1, b"in doubt", Record(1, b"value"))

    async def test_a_lease_ends_and_is_inherited_with_its_note(self) -> None:
        """By the store's clock; who comes next is told that nobody gave it back, and what the note says."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            lost = granted(await one.claim(key, "lost", self.moment, 0, b"in doubt"))
            await self.lapse()
            claim = granted(await other.claim(key, "next", LONG, 0, b""))
            assert (claim.number, claim.inherited, claim.note) == (lost.number + 1, True, b"in doubt")
            assert claim.now > lost.now
            assert not await one.extend(key, lost.number, LONG)
            assert not await one.release(key, lost.number, b"late")
            assert (await one.read(key)).note == b""

    async def test_no_lease_outlasts_its_own_span(self) -> None:
        """Where the store's clock was set back, a dead holder's lease ends after as long as it was claimed or extended for."""
        async with self.opened_twice() as (one, other):
            for extended in (False, True):
                key = self.fresh()
                dead = granted(await one.claim(key, "dead", LONG if extended else self.moment, 0, b"in doubt"))
                assert not extended or await one.extend(key, dead.number, self.moment)
                if not await self.set_back(20 * LONG):
                    pytest.skip("no test can set this store's clock back")
                claim = await other.claim(key, "next", LONG, 0, b"")
                assert isinstance(claim, Busy)
                assert claim.remaining <= self.moment
                await self.lapse()
                claim = granted(await other.claim(key, "next", LONG, 0, b""))
                assert (claim.number, claim.inherited, claim.note) == (dead.number + 1, True, b"in doubt")

    async def test_a_repeated_claim_outlasts_nothing_either(self) -> None:
        """Nor does the holder's own repeat prolong what a clock that was set back made long; it leaves its note."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            granted(await one.claim(key, "me", LONG, 0, b"first"))
            if not await self.set_back(20 * LONG):
                pytest.skip("no test can set this store's clock back")
            granted(await one.claim(key, "me", LONG / 2, 0, b"second"))
            claim = await other.claim(key, "you", LONG, 0, b"")
            assert isinstance(claim, Busy)
            assert LONG / 2 < claim.remaining <= LONG
            assert claim.note == b"second"

    async def test_a_released_lease_is_not_inherited(self) -> None:
        """``release`` clears the note, or leaves the one it is given; a second time it finds nothing to give back."""
        async with self.opened() as store:
            key = self.fresh()
            for owner, found, left in (("a", b"", b"kept"), ("b", b"kept", b""), ("c", b"", b"")):
                claim = granted(await store.claim(key, owner, LONG, 0, b"while it works"))
                assert (claim.note, claim.inherited) == (found, False)
                assert (await store.read(key)).note == b"while it works"
                assert await store.release(key, claim.number, left)
                assert not await store.release(key, claim.number, b"again")
                assert (await store.read(key)).note == left

    async def test_a_commit_gives_the_lease_back_and_clears_the_note(self) -> None:
        """The next claimant inherits nothing and finds no note."""
        async with self.opened() as store:
            key = self.fresh()
            number = granted(await store.claim(key, "me", LONG, 0, b"note")).number
            assert (await store.commit(key, number, b"value")).now > 0
            assert not await store.extend(key, number, LONG)
            claim = granted(await store.claim(key, "you", LONG, number, b""))
            assert (claim.note, claim.inherited) == (b"", False)

    async def test_an_extended_lease_lasts(self) -> None:
        """``extend`` counts from now, longer or shorter, and only under the number that holds."""
        async with self.opened() as store:
            key = self.fresh()
            number = granted(await store.claim(key, "me", LONG, 0, b"")).number
            assert not await store.extend(key, number + 1, LONG)
            assert await store.extend(key, number, 3 * LONG)
            claim = await store.claim(key, "you", LONG, 0, b"")
            assert isinstance(claim, Busy)
            assert LONG < claim.remaining <= 3 * LONG
            assert await store.extend(key, number, self.moment)
            await self.lapse()
            assert not await store.extend(key, number, LONG)
            assert not await store.release(key, number)
            assert granted(await store.claim(key, "you", LONG, 0, b"")).inherited
            assert not await store.extend(self.fresh(), 1, LONG)

    async def test_a_late_commit_that_nobody_overtook_is_kept(self) -> None:
        """The lease has ended, the answer is good all the same, and nobody inherits a doubt from it."""
        async with self.opened() as store:
            key = self.fresh()
            number = granted(await store.claim(key, "me", self.moment, 0, b"note")).number
            await self.lapse()
            assert isinstance(await store.commit(key, number, b"late"), Committed)
            assert (await store.read(key)).record == Record(number, b"late")
            claim = granted(await store.claim(key, "you", LONG, number, b""))
            assert (claim.note, claim.inherited) == (b"", False)

    async def test_a_late_commit_leaves_the_later_lease(self) -> None:
        """Its value is written; the lease that was passed on, and its note, stay with the later holder."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            late = granted(await one.claim(key, "late", self.moment, 0, b"first")).number
            await self.lapse()
            later = granted(await other.claim(key, "later", LONG, 0, b"second")).number
            assert isinstance(await one.commit(key, late, b"late"), Committed)
            claim = await one.claim(key, "third", LONG, late, b"third")
            assert isinstance(claim, Busy)
            assert (claim.holder, claim.note, claim.record) == ("later", b"second", Record(late, b"late"))
            assert await other.extend(key, later, LONG)
            assert isinstance(await other.commit(key, later, b"later"), Committed)
            assert (await one.read(key)).record == Record(later, b"later")

    async def test_who_claimed_later_wins(self) -> None:
        """A commit below the record's version changes nothing and is told the record that won."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            late = granted(await one.claim(key, "late", self.moment, 0, b"")).number
            await self.lapse()
            later = granted(await other.claim(key, "later", LONG, 0, b"")).number
            await other.commit(key, later, b"later")
            answer = await one.commit(key, late, b"late")
            assert isinstance(answer, Superseded)
            assert answer.record == Record(later, b"later")
            assert (await one.read(key)).record == Record(later, b"later")

    async def test_a_repeated_commit_changes_nothing(self) -> None:
        """It succeeds, keeps the value that stands, and disturbs neither the lease nor the note of who came next."""
        async with self.opened_twice() as (one, other):
            key = self.fresh()
            number = granted(await one.claim(key, "me", LONG, 0, b"")).number
            await one.commit(key, number, b"value")
            later = granted(await other.claim(key, "you", LONG, number, b"note")).number
            assert isinstance(await one.commit(key, number, b"value"), Committed)
            reading = await one.read(key)
            assert (reading.record, reading.note) == (Record(number, b"value"), b"note")
            assert await other.extend(key, later, LONG)

    async def test_a_number_given_twice_is_no_repeat(self) -> None:
        """A store that lost its data may give a number again: who commits first under it wins, the other is told."""
        async with self.opened() as store:
            key = self.fresh()
            await store.commit(key, 5, b"one")
            answer = await store.commit(key, 5, b"other")
            assert isinstance(answer, Superseded)
            assert answer.record == Record(5, b"one")

    async def test_after_a_loss_the_higher_number_wins(self) -> None:
        """A commit from before the store lost its data is above the lease granted since, which ends without effect."""
        async with self.opened() as store:
            key = self.fresh()
            number = granted(await store.claim(key, "knows nothing", LONG, 0, b"")).number
            assert isinstance(await store.commit(key, 9, b"from before"), Committed)
            assert isinstance(await store.commit(key, number, b"value"), Superseded)
            assert (await store.read(key)).record == Record(9, b"from before")

    async def test_the_clock_is_in_every_answer_and_goes_forward(self) -> None:
        """Each kind of answer carries the store's time."""
        async with self.opened() as store:
            key = self.fresh()
            answers = [
                await store.read(key),
                await store.claim(key, "a", LONG, 0, b""),
                await store.claim(key, "b", LONG, 0, b""),
                await store.commit(key, 2, b"value"),
                await store.claim(key, "c", LONG, 0, b""),
                await store.commit(key, 1, b"value"),
                await store.take(key),
            ]
            times = [answer.now for answer in answers]
            assert times == sorted(times)
            assert times[-1] - times[0] < LONG
