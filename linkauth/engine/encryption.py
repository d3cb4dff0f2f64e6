"""AES-256-GCM over what is stored, by ``cryptography`` (the extra ``crypto``).

A sealed value is ``LA1``, the key's id, a nonce and the ciphertext. It is bound to its record's key and version: moved
to another record, or put back after a newer version, it does not open.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from linkauth.errors import ConfigurationError, CorruptRecord
from linkauth.oauth.token import Secret, secret_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["PLAIN", "Sealer", "hidden", "key_id"]

MAGIC: Final = b"LA1"
ID_BYTES: Final = 4
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

PLAIN: Final = "plain"
"""Among the keys: records from before there was a key are read too."""


class Sealer:
    """Seals with the newest key, opens with any of them."""

    __slots__ = ("_entropy", "_keys", "_plain")

    def __init__(self, keys: Sequence[str | Secret], entropy: Callable[[int], bytes]) -> None:
        """``keys``: base64 256-bit keys, newest first; ``PLAIN`` among them admits records that are not sealed.

        Raises ``ConfigurationError`` for a key that is none, and where ``cryptography`` is not installed.
        """
        keys = masked = hidden(keys) or []  # this frame, too, must not hold them in clear
        texts = [key.reveal() for key in masked]
        self._plain = PLAIN in texts
        self._keys: dict[bytes, AESGCM] = {}
        for text in texts:
            if text != PLAIN:
                raw = _key(text)
                self._keys[sha256(b"linkauth key id\0" + raw).digest()[:ID_BYTES]] = _cipher(raw)
        if not self._keys:
            raise ConfigurationError("keys: at least one 256-bit key is needed; `linkauth new-key` makes one")
        self._entropy = entropy

    @property
    def ids(self) -> list[str]:
        """The ids of the keys that open, the newest first."""
        return [each.hex() for each in self._keys]

    @property
    def newest(self) -> str:
        """The id of the key that seals."""
        return next(iter(self._keys)).hex()

    def seal(self, value: bytes, bound_to: bytes) -> bytes:
        """``value`` sealed with the newest key and bound to ``bound_to``."""
        key_id, cipher = next(iter(self._keys.items()))
        nonce = self._entropy(NONCE_BYTES)
        return MAGIC + key_id + nonce + cipher.encrypt(nonce, value, bound_to)

    def open(self, value: bytes, bound_to: bytes, name: str) -> bytes:
        """What was sealed. Raises ``CorruptRecord`` that names the record and the key's id."""
        if not sealed(value):
            if self._plain:
                return value
            raise CorruptRecord(f"{name} is not encrypted though keys are given; add {PLAIN!r} to them to migrate")
        head = len(MAGIC) + ID_BYTES
        key_id, nonce, rest = value[len(MAGIC) : head], value[head : head + NONCE_BYTES], value[head + NONCE_BYTES :]
        cipher = self._keys.get(key_id)
        if cipher is None:
            raise CorruptRecord(
                f"{name} is encrypted with key {key_id.hex()}, which is not among the keys given: add that key at the end of "
                "them, or, if another environment shares this store, give each its own (another folder; on Redis another "
                "prefix, ?prefix=NAME)"
            )
        try:
            return cipher.decrypt(nonce, rest, bound_to)
        except Exception:  # noqa: BLE001  # InvalidTag, or ValueError for a nonce cut short: the same to the operator
            fault = f"{name} does not open with key {key_id.hex()}: damaged, or moved from another record or version"
        raise CorruptRecord(fault)


def sealed(value: bytes) -> bool:
    """Whether ``value`` is sealed; a plain record is JSON and begins with a brace."""
    return value.startswith(MAGIC)


def key_id(value: bytes) -> str:
    """The id of the key that ``value`` is sealed with, a digest of it in eight hexadecimal digits; empty: in clear."""
    return value[len(MAGIC) : len(MAGIC) + ID_BYTES].hex() if sealed(value) else ""


def hidden(keys: str | Secret | Sequence[str | Secret] | None) -> list[Secret] | None:
    """Keys in a form that no traceback shows, as a list; None: there are none."""
    if keys is None:
        return None
    several = keys if isinstance(keys, list | tuple) else [keys]
    return [key if isinstance(key, Secret) else Secret(key) for key in several]  # type: ignore[arg-type]


def _key(text: str) -> bytes:
    try:
        raw = secret_bytes(b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ConfigurationError(
            "keys: each must be 32 bytes in base64, as `linkauth new-key` makes one; in $LINKAUTH_KEYS a comma stands between two"
        )
    return raw


def _cipher(raw: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  # an extra
    except ImportError:
        pass
    else:
        return AESGCM(raw)
    raise ConfigurationError("keys: encryption needs `pip install 'linkauth[crypto]'`")
