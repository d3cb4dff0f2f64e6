"""What one worker knows of one credential: how facts enter, in which order, and what clocks make of it."""

from __future__ import annotations

import itertools
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkauth.errors import NotSent
from linkauth.oauth.token import Token
from linkauth.protocol.freshness import StoreTime, Verdict
from linkauth.protocol.intent import digest
from linkauth.protocol.lineage import Entry, supersedes
from linkauth.protocol.records import DeadRecord, Session, TokenRecord
from linkauth.protocol.state import CredentialState, Habits
from tests.engine.test_clock import NOW, Clocks

LOOK = StoreTime(NOW, 50.0, 50.0, NOW - 50.0)
ROTATES = Habits(rotates=True, needs_user=True)


def token(lifetime: float = 900, issued_at: float = NOW, *, name: str = "a") -> Token:
    return Token(access_token=name, issued_at=issued_at, expires_at=issued_at + lifetime, refresh_token=f"r{name}")


def record(held: Token, session: Session | None = None, generation: int | None = None) -> TokenRecord:
    return TokenRecord(vendor="v", account="a", token=held, session=session, generation=generation)


def mark(of: TokenRecord | None = None, *, whole: bool = False) -> DeadRecord:
    """Of a token that was refused; ``whole``: of a logout."""
    told = {} if of is None else {"session": of.session, "spent": digest(of.token)}
    generation = None if of is None or whole else of.generation
    return DeadRecord(vendor="v", account="a", reason="refused", by_user=whole, generation=generation, **told)


def knowing(held: Token | None = None, habits: Habits = ROTATES, version: int = 1) -> CredentialState:
    return CredentialState(habits=habits).observe(Entry(record(held or token()), version), LOOK, 0.0)


# -- one door ----------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """What a store may have held of one credential: logins, renewals, refusals, logouts, under numbers given anew after a loss."""
    sessions = [
        Session(at, name) for at, name in draw(st.sets(st.tuples(st.integers(1, 3), st.sampled_from("xy")), min_size=1))
    ]
    entries = []
    for session in sessions:
        for generation in range(draw(st.integers(1, 3))):
            life = record(token(name=f"{session.at}{session.id}{generation}"), session, generation)
            entries += [Entry(life, number) for number in draw(st.sets(st.integers(1, 9), min_size=1, max_size=2))]
            if draw(st.booleans()):
                entries.append(Entry(mark(life, whole=draw(st.booleans())), draw(st.integers(1, 9))))
    return entries


@pytest.mark.slow
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(entries, random):
    """Whatever the order in which records are seen, and however often: what is known in the end is the latest, and the same."""
    first = CredentialState(habits=ROTATES)
    for entry in entries:
        first = first.observe(entry, LOOK, 0.5)
    shuffled = entries * 2
    random.shuffle(shuffled)
    other = CredentialState(habits=ROTATES)
    for entry in shuffled:
        other = other.observe(entry, LOOK, 0.5)
    assert other == first
    assert not any(supersedes(entry, first.entry) for entry in entries)


def test_nothing_that_is_known_can_be_changed():
    """A value: whoever has taken it has all of it as it was at one moment, whatever another thread learns."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        knowing().version = 2


def test_an_older_record_changes_nothing():
    """An earlier generation that comes late, under whatever number, leaves the very value that was there."""
    session = Session(1, "x")
    known = CredentialState(habits=ROTATES).observe(Entry(record(token(name="b"), session, 2), 5), LOOK, 0.0)
    assert known.observe(Entry(record(token(name="a"), session, 1), 9), LOOK, 0.0) is known


def test_what_was_not_stored_is_known_to_be_once_it_is_seen():
    """A commit may have landed and not been heard to: the record that is held is found under its number."""
    entry = Entry(record(token()), 3)
    kept = CredentialState(habits=ROTATES).observe(entry, LOOK, 0.0, stored=False)
    assert (kept.stored, kept.observe(entry, LOOK, 0.0).stored) == (False, True)
    assert kept.observe(entry, LOOK, 0.0).observe(entry, LOOK, 0.0, stored=False).stored


def test_a_refusal_leaves_nothing_to_serve():
    """After it there is no token and a reason; a look at the clock that was under way brings none back."""
    known = knowing()
    over = known.refused(mark(), 7, known.entry)
    assert (over.token, over.judge(50.0), over.unexpired(50.0), over.dead) == (None, Verdict.WAIT, False, "refused")
    assert (over.version, over.soft) == (7, -math.inf)
    assert over.placed(LOOK, 0.0) == over
    assert not over.is_outdated(5)


def test_a_refusal_does_not_speak_of_what_came_meanwhile():
    """While it was written down, the user has logged in again: the login stays."""
    refused = knowing()
    session = Session(5, "x")
    since = refused.observe(Entry(record(token(name="b"), session, 0), 9), LOOK, 0.0)
    assert since.refused(mark(record(token(), Session(1, "x"), 0)), 2, refused.entry) is since
    assert since.refused(mark(record(token(), session, 0), whole=True), 10, refused.entry).dead


def test_what_was_deleted_is_passed_by_and_not_missed():
    """Nothing is known of it but its number, above which whatever comes counts."""
    gone = knowing().forgotten(4)
    assert (gone.record, gone.entry, gone.version, gone.dead, gone.stored) == (None, None, 4, "", True)
    assert gone.observe(Entry(record(token()), 1), LOOK, 0.0).version == 1


def test_what_was_fetched_alone_gives_way_to_whatever_serves():
    """Its times are by this host's clock, which says nothing of the store's records."""
    alone = CredentialState(version=2).alone(record(token(issued_at=NOW + 3600)), LOOK, 0.0)
    assert (alone.version, alone.stored) == (2, False)
    serves, over = record(token(name="b")), record(token(-1, name="c"))
    assert [alone.supersedes(Entry(each, 3), NOW) for each in (serves, over)] == [True, False]
    assert not alone.supersedes(Entry(serves, 2), NOW)


def test_each_failure_counts_and_a_token_forgets_them():
    """Of two failures the last is told, until its time and no longer; whatever brings a token clears the score."""
    held = CredentialState()
    assert (held.failures, held.failure, held.retry_at) == (0, None, -math.inf)
    second = NotSent("second")
    held = held.failed(NotSent("first"), 53.0).failed(second, 57.0)
    assert (held.failures, held.failure, held.retry_at) == (2, second, 57.0)
    held = held.observe(Entry(record(token()), 1), LOOK, 0.0)
    assert (held.failures, held.failure, held.retry_at) == (0, None, -math.inf)


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_suspended_machine_is_noticed_where_the_hit_path_looks():
    """Only the wall clock went on: past ``wall_limit`` the fast path is left, and it is known to be a jump."""
    clocks = Clocks()
    clock = clocks.clock()
    held = CredentialState().observe(Entry(record(token()), 1), clocks.look(clock), 0.0)
    assert not held.is_outdated(clock.epoch.host)
    clocks.sleep(1000)
    assert clocks.monotonic < held.soft
    assert clocks.wall >= held.wall_limit
    assert held.is_outdated(clock.epoch.host)


def test_the_hit_path_is_left_for_a_jump_alone():
    """Up to ``soft`` a wall clock that wavers within an epoch keeps nobody from the token in memory."""
    held = knowing()
    assert held.soft + LOOK.ahead + 0.99 < held.wall_limit <= held.soft + LOOK.ahead + 1.01


def test_a_sleep_between_the_look_and_the_taking_is_noticed():
    """The store's clock was read, then the machine slept: what was read belongs to the epoch of the look."""
    clocks = Clocks()
    clock = clocks.clock()
    look = clocks.look(clock)
    clocks.sleep(1000)
    assert CredentialState().observe(Entry(record(token()), 1), look, 0.0).is_outdated(clock.epoch.host)


def test_a_look_at_the_store_settles_a_jump():
    """After a jump of the wall alone, the store's clock says that nothing has passed: the windows stay."""
    clocks = Clocks()
    clock = clocks.clock()
    held = CredentialState().observe(Entry(record(token()), 1), clocks.look(clock), 0.0)
    clocks.wall += 3600
    assert held.is_outdated(clock.epoch.host)
    held = held.placed(clocks.look(clock), 0.0)
    assert held.windows.end == pytest.approx(950)
    assert not held.is_outdated(clock.epoch.host)


def test_what_the_wall_says_has_passed_counts_when_there_is_no_store():
    """With nobody to ask after a jump, the time that the wall clock saw is taken off, once; one that was put back adds none."""
    held = knowing()
    for ahead, end in itertools.pairwise([(800, 150), (800, 150), (-3600, 150), (0.5, 150)]):
        held = held.slept(LOOK.ahead + ahead[0], 1)
        assert held.windows.end == pytest.approx(end[1])
    assert held.epoch == 1


def test_at_its_end_a_token_is_over():
    """Not a moment after it: an expiry is the first moment at which a token is no good (RFC 6749 §5.1)."""
    held = knowing()
    assert (held.unexpired(949.99), held.unexpired(950.0)) == (True, False)


def test_a_token_without_end_has_nothing_to_fear_from_clocks():
    """No time that passed unnoticed matters."""
    held = knowing(Token(access_token="a", issued_at=0.0, expires_at=math.inf))
    assert (held.windows.end, held.is_outdated(7)) == (math.inf, False)


def test_reading_a_token_again_does_not_lengthen_its_life():
    """The store's clock is an hour back. Read again, or written anew under another number, it is good for no longer than it was."""
    short = record(token(3))
    back = [StoreTime(NOW - 3600 + passed, 50.0 + passed, 50.0 + passed) for passed in (0, 1, 2)]
    held = CredentialState(habits=ROTATES).observe(Entry(short, 1), back[0], 0.0)
    assert held.windows.end == 53.0
    assert held.observe(Entry(short, 1), back[1], 0.0).windows.end == 53.0
    assert held.observe(Entry(short, 2), back[2], 0.0).windows.end == 53.0
    assert held.placed(back[2], 0.0).windows.end == 53.0


def test_a_token_that_is_written_anew_is_not_sent_for_again():
    """Who asked for a new one between the two looks does not have it with this one."""
    held = knowing(token(issued_at=NOW - 10))
    assert held.new_until == 40.0
    again = held.observe(Entry(record(token(issued_at=NOW - 10)), 2), StoreTime(NOW - 5, 50.0, 50.0), 0.0)
    assert (again.version, again.new_until) == (2, 40.0)


def test_of_a_token_from_the_future_nobody_knows_when_it_was_sent_for():
    """A clock was set back: whoever asks for a new one gets a renewal."""
    assert knowing(token(issued_at=NOW + 5)).new_until == -math.inf
    assert knowing(token(issued_at=NOW + 5)).new_since(51.0).new_until == 51.0
