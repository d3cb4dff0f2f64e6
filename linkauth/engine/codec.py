"""Record <-> bytes: versioned, and encrypted where the engine has keys.

Beside a record stands a note (``protocol.intent``), whose text is encrypted, too. A store sees bytes. Whatever cannot be read is a ``CorruptRecord`` that names the record and shows nothing of it.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import attrs

from linkauth.engine.encryption import key_id, sealed
from linkauth.errors import CorruptRecord, MalformedResponse
from linkauth.oauth import wire
from linkauth.oauth.token import secret_bytes
from linkauth.protocol.intent import Note
from linkauth.protocol.lineage import read, written
from linkauth.protocol.records import KINDS, SecretRecord, StoredRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.engine.encryption import Sealer
    from linkauth.store import Record

__all__ = ["FORMAT", "Codec"]

FORMAT: Final = 1
"""Raised when an older linkauth could not read what a newer one writes."""

R = TypeVar("R", bound=StoredRecord)


class Codec:
    """Writes and reads what the engine stores."""

    __slots__ = ("_sealer",)

    def __init__(self, sealer: Sealer | None = None) -> None:
        self._sealer = sealer

    def close(self, key: str, version: int, record: StoredRecord) -> bytes:
        """``record`` as bytes that only ``key`` at ``version`` can hold."""
        kind = next(name for name, known in KINDS.items() if type(record) is known)
        value = secret_bytes(wire.dump({"linkauth": FORMAT, "kind": kind, **written(wire.unstructure(record))}))
        return value if self._sealer is None else self._sealer.seal(value, _binding(key, version))

    def open(self, key: str, record: Record) -> StoredRecord:
        """What ``record`` holds. Raises ``CorruptRecord``."""
        name = f"record {key} (version {record.version})"
        value = secret_bytes(record.value)
        if self._sealer is not None:
            value = secret_bytes(self._sealer.open(value, _binding(key, record.version), name))
        elif sealed(value):
            raise CorruptRecord(f"{name} is encrypted, and no keys were given")
        found = wire.as_object(wire.decode(value))
        form, kind = found.get("linkauth"), found.get("kind")
        if not found:
            raise CorruptRecord(f"{name} is not one of linkauth's")
        if isinstance(form, int) and form > FORMAT:
            raise CorruptRecord(f"{name} was written by a newer linkauth (format {form}); upgrade this one")
        if form != FORMAT or not isinstance(kind, str) or kind not in KINDS:
            raise CorruptRecord(f"{name} is of no kind that linkauth knows")
        try:
            record_found = wire.structure(read(found), KINDS[kind], name)
        except MalformedResponse as error:
            fault = str(error)
        else:
            if isinstance(record_found, SecretRecord) or _is_plain(found):
                return record_found
            fault = f"{name} holds unprintable characters"
        raise CorruptRecord(fault)

    @property
    def newest(self) -> str:
        """The id of the key that what is written is encrypted with; empty: there is none."""
        return "" if self._sealer is None else self._sealer.newest

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys that there are, the newest first."""
        return [] if self._sealer is None else self._sealer.ids

    @property
    def seals(self) -> bool:
        """Whether there are keys."""
        return self._sealer is not None

    def is_old(self, record: Record) -> bool:
        """Whether ``record`` is in clear, or under another key than the newest. Never, where there are no keys."""
        return self._sealer is not None and key_id(record.value) != self._sealer.newest

    def anew(self, key: str, record: Record, version: int) -> bytes:
        """What ``record`` holds under the newest key, as bytes that only ``version`` can hold. Raises ``CorruptRecord``.

        Whatever it holds: members and kinds that only a newer linkauth knows are kept.
        """
        assert self._sealer is not None  # noqa: S101  # else nothing is old
        name = f"record {key} (version {record.version})"
        value = secret_bytes(self._sealer.open(secret_bytes(record.value), _binding(key, record.version), name))
        return self._sealer.seal(value, _binding(key, version))

    def note_anew(self, key: str, found: bytes) -> bytes:
        """A note's text under the newest key; the note as it was ``found`` where that has none, or it does not open."""
        note = Note.decode(found)
        if not note.sealed:
            return found
        opened = self.open_note(key, found)
        return self.close_note(key, opened) if opened.error or opened.description else found

    def close_note(self, key: str, note: Note) -> bytes:
        """``note`` as the store keeps it beside the record ``key``."""
        if self._sealer is None or not (note.error or note.description):
            return note.encode()
        text = self._sealer.seal(secret_bytes(wire.dump([note.error, note.description])), _note_binding(key))
        return attrs.evolve(note, error="", description="", sealed=b64encode(text).decode("ascii")).encode()

    def open_note(self, key: str, found: bytes) -> Note:
        """A note as found. Words that do not open, for they were sealed with another key, are left out."""
        note = Note.decode(found)
        if not note.sealed or self._sealer is None:
            return note  # or an older worker wrote it
        try:
            text = wire.decode(self._sealer.open(b64decode(note.sealed, validate=True), _note_binding(key), "a note"))
        except (binascii.Error, ValueError, CorruptRecord):
            return note
        match text:
            case [str(error), str(description)]:
                return note.saying(error, description)
            case _:
                return note

    def expect(self, key: str, record: Record, kind: type[R]) -> R:
        """As ``open``, of one kind. Raises ``CorruptRecord`` where it is of another."""
        found = self.open(key, record)
        if not isinstance(found, kind):
            raise CorruptRecord(f"record {key} (version {record.version}) is of another kind than its key")
        return found


def _is_plain(members: Mapping[str, Any]) -> bool:
    """Whether a record's texts are printable, as all that linkauth writes: they go into headers, errors and terminals.

    What a vendor said besides (``extra``) stays what it is, and so does an answer kept for the operator.
    """
    token: object = members.get("token")
    parts = (members, cast("Mapping[str, Any]", token)) if isinstance(token, dict) else (members,)
    return all(value.isprintable() for part in parts for value in part.values() if isinstance(value, str))


def _binding(key: str, version: int) -> bytes:
    return f"linkauth record {FORMAT} {version} {key}".encode()


def _note_binding(key: str) -> bytes:
    return f"linkauth note {FORMAT} {key}".encode()
