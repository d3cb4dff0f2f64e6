"""Which of two records is later: the only place that says so.

The store's number fences: it keeps a late worker from overwriting. It does not order, for a store that lost its data gives
numbers again. What orders is what is in the records: the *session* (one login or pairing) and the *generation* (how often
it was renewed since). A mark that only the user can help names what was refused: it comes after that generation and before
the next, and a logout's after its whole session. A client's secrets are ordered by when they were stored; of what says nothing of
the kind the higher number is later.

Older linkauths write neither. They pass on what a vendor said besides (``Token.extra``) from renewal to renewal, so the session
stands there a second time, under a name that no user sees. What has no session comes before what its renewals made of it;
else it is ordered by when it was sent, then by its number, as ever.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs

from linkauth.oauth import wire
from linkauth.protocol.intent import digest
from linkauth.protocol.records import DeadRecord, SecretRecord, Session, TokenRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.token import Token
    from linkauth.protocol.records import StoredRecord

__all__ = ["UNKNOWN", "Entry", "Lineage", "new_session", "read", "supersedes", "written"]

RESERVED: Final = "linkauth.session"
"""In ``extra`` as it is stored: the session once more."""
ID_BYTES: Final = 8

R_co = TypeVar("R_co", bound="StoredRecord", covariant=True)


@attrs.frozen
class Lineage:
    """Where a token comes from; None: an older linkauth did not say."""

    session: Session | None = None
    generation: int | None = None

    def renewed(self, token: Token | None) -> Lineage:
        """That of what replaces ``token``, whose lineage this is."""
        known = self.alone(token)
        return known if known.generation is None else Lineage(known.session, known.generation + 1)

    def over(self, record: StoredRecord) -> Lineage:
        """This one, counted on from ``record`` if that is further in the same session: what replaces both comes after both."""
        if not isinstance(record, TokenRecord) or record.session != self.session:
            return self
        if self.generation is None or record.generation is None:
            return self
        return Lineage(self.session, max(self.generation, record.generation))

    def alone(self, token: Token | None) -> Lineage:
        """That of what was fetched in place of ``token`` without the store: no generation of its own, for nobody else can have it."""
        if self.session is not None:
            return self
        if token is None or not token.refresh_token:
            return Lineage()  # nothing hangs on the order of tokens that can be had at any time
        return Lineage(_implied(token), 0)  # from before sessions: whoever renews it gives it the same one


UNKNOWN: Final = Lineage()


def _implied(token: Token) -> Session:
    """The session of a token from before there were any, made from itself alone."""
    return Session(int(token.issued_at * 1000), digest(token)[: 2 * ID_BYTES])


def new_session(number: int, seen: Session | None, chance: bytes) -> Lineage:
    """That of a new session, written under ``number``: after every one that was seen.

    The number is above the store's clock in ms, for what the user does takes it from there. So of two logins that cross, the one that
    the store lets stand is the one that is later by its session.
    """
    return Lineage(Session(number if seen is None else max(number, seen.at + 1), chance[:ID_BYTES].hex()), 0)


@attrs.frozen
class Entry(Generic[R_co]):
    """A record and the number under which it stands, or is to stand."""

    record: R_co
    number: int


def supersedes(one: Entry[StoredRecord], other: Entry[StoredRecord] | None) -> bool:
    """Whether ``one`` comes after ``other``; None: nothing is known yet."""
    if other is None:
        return True
    match one.record, other.record:
        case TokenRecord() as token, TokenRecord() as known:
            return _is_later(token, one.number, known, other.number)
        case TokenRecord() as token, DeadRecord() as mark:
            return not _is_marked(token, one.number, mark, other.number)
        case DeadRecord() as mark, TokenRecord() as token:
            return _is_marked(token, other.number, mark, one.number)
        case DeadRecord() as mark, DeadRecord() as known_mark:
            return _mark_rank(mark, one.number) > _mark_rank(known_mark, other.number)
        case SecretRecord(rotated_at=at), SecretRecord(rotated_at=known_at) if at is not None and known_at is not None:
            return (at, one.number) > (known_at, other.number)
        case _:
            return one.number > other.number


def _is_later(one: TokenRecord, number: int, other: TokenRecord, others: int) -> bool:
    """Of two tokens."""
    if one == other:
        return number > others  # put back, or confirmed
    if _came_of(one, other) or _came_of(other, one):  # whatever the store's clock said when each was sent for
        return _came_of(one, other)
    if one.session is not None and other.session is not None and one.session != other.session:
        return one.session > other.session
    if one.session is None or other.session is None or one.generation is None or other.generation is None:
        return (one.token.issued_at, number) > (other.token.issued_at, others)
    return _rank(one) > _rank(other)


def _came_of(one: TokenRecord, other: TokenRecord) -> bool:
    """Whether ``one`` is of the session that its first renewal made of ``other``, which is from before there were any."""
    return other.session is None and bool(other.token.refresh_token) and one.session == _implied(other.token)


def _rank(record: TokenRecord) -> tuple[int, float, str]:
    """Within a session. Two workers may renew the same token within a vendor's window: all agree on one."""
    known = sha256(record.token.access_token.encode("utf-8", "surrogatepass")).hexdigest()
    return record.generation or 0, record.token.issued_at, known


def _is_marked(record: TokenRecord, number: int, mark: DeadRecord, marked: int) -> bool:
    """Whether ``mark`` says that ``record``'s token is no good: else that was written, or renewed, since."""
    if mark.session is None:
        return _names(mark, record) if mark.spent and not mark.by_user else marked > number
    if record.session is None:  # a session that began since then came of it, or after it
        return _implied(record.token) <= mark.session or _names(mark, record)
    if mark.session != record.session:
        return mark.session > record.session
    if mark.generation is None:
        return True
    return record.generation <= mark.generation if record.generation is not None else _names(mark, record)


def _names(mark: DeadRecord, record: TokenRecord) -> bool:
    """Whether ``mark`` is of this very refresh token. Without one there is nothing to be known by."""
    return bool(mark.spent) and mark.spent == digest(record.token)


def _mark_rank(mark: DeadRecord, number: int) -> tuple[bool, int, str, float, int]:
    session = mark.session or Session(0, "")
    whole = float("inf") if mark.generation is None else mark.generation
    return mark.session is not None, session.at, session.id, whole, number


# -- as it is stored ---------------------------------------------------------------------------------------------------


def written(members: Mapping[str, Any]) -> dict[str, Any]:
    """A record's members as they are stored: nothing that is not known, and the session where older linkauths keep it."""
    told = {
        name: value for name, value in members.items() if value is not None or name not in {"session", "generation"}
    }
    session, token = wire.as_object(told.get("session")), wire.as_object(told.get("token"))
    if session and token:
        extra = {**wire.as_object(token.get("extra")), RESERVED: [session["at"], session["id"]]}
        told["token"] = {**token, "extra": extra}
    return told


def read(members: Mapping[str, Any]) -> dict[str, Any]:
    """A record's members as they were, whoever wrote it."""
    token = wire.as_object(members.get("token"))
    extra = dict(wire.as_object(token.get("extra")))
    if RESERVED not in extra:
        return dict(members)
    kept = extra.pop(RESERVED)
    found = {**members, "token": {**token, "extra": extra}}
    match kept:
        case [int(at), str(own)] if "session" not in found:
            found["session"] = {"at": at, "id": own}
        case _:
            pass
    return found
