"""What linkauth is shown beside: a session in a JSON file behind a lock, as teams write it who need it by Friday.

It is done with care. One lock for all tasks of a process; under it the file is read again, for another process may have
renewed; the file is replaced whole, never half written; tokens are renewed ahead of their end; a 401 is answered by one renewal
and one more try; a refresh token that was refused is not sent again. What it lacks is what a lock of one process and a file cannot
give: nobody keeps two processes from sending the same refresh token, and the file is all that there is.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from linkauth.errors import LinkAuthError
from linkauth.oauth.token import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp

__all__ = ["LoggedOut", "Saved", "Session", "save"]

AHEAD: Final = 1 / 5
"""Share of a token's life before its end at which it is renewed: linkauth's own."""
OK: Final = 200


class LoggedOut(LinkAuthError):
    """Only the user can go on from here."""


@attrs.frozen(kw_only=True)
class Saved:
    """What is in the file."""

    access_token: Secret
    refresh_token: Secret
    renew_at: float
    """Unix seconds."""

    @classmethod
    def of(cls, pair: Mapping[str, Any], lifetime: float) -> Self:
        """LinkXG's answer, just arrived."""
        renew_at = time.time() + lifetime * (1 - AHEAD)
        return cls(
            access_token=Secret(pair["accessToken"]), refresh_token=Secret(pair["refreshToken"]), renew_at=renew_at
        )


class Session:
    """The session in ``file`` at LinkXG's ``base_url``. ``lifetime``: seconds that a token lives; the answer does not say."""

    def __init__(self, http: aiohttp.ClientSession, base_url: str, file: Path, lifetime: float) -> None:
        self.renewing = False
        self.renew_at = 0.0
        """Of the token that ``token()`` returned last."""
        self._http = http
        self._base_url = base_url
        self._file = file
        self._lifetime = lifetime
        self._lock = asyncio.Lock()
        self._saved: Saved | None = None
        self._dead: Secret | None = None
        self._words = ""

    async def token(self, refused: Secret | None = None) -> Secret:
        """An access token, another than the one that was ``refused``. Raises ``LoggedOut`` and ``aiohttp.ClientError``."""
        if (saved := self._good(self._saved, refused)) is None:
            async with self._lock:
                if (saved := self._good(self._saved, refused)) is None:
                    found = self._read()
                    saved = self._good(found, refused) or await self._renewed(found.refresh_token)
                    self._saved = saved
        self.renew_at = saved.renew_at
        return saved.access_token

    @staticmethod
    def _good(saved: Saved | None, refused: Secret | None) -> Saved | None:
        return saved if saved and saved.access_token != refused and time.time() < saved.renew_at else None

    def _read(self) -> Saved:
        try:
            found = json.loads(self._file.read_text())
        except FileNotFoundError:
            raise LoggedOut("the file is gone") from None
        secrets = {name: Secret(found[name]) for name in ("access_token", "refresh_token")}
        return Saved(**secrets, renew_at=found["renew_at"])

    async def _renewed(self, refresh_token: Secret) -> Saved:
        if refresh_token == self._dead:
            raise LoggedOut(self._words)
        self.renewing = True
        try:
            fields = {"refreshToken": refresh_token.reveal()}
            async with self._http.post(f"{self._base_url}/auth/refresh", json=fields) as response:
                answer = await response.json()
        finally:
            fields = {}  # no traceback shows it
            self.renewing = False
        if response.status != OK:
            self._dead, self._words = refresh_token, answer["error"]["code"]
            raise LoggedOut(self._words)
        saved = Saved.of(answer["data"], self._lifetime)
        save(self._file, saved)
        return saved


def save(file: Path, saved: Saved) -> None:
    """Replace ``file``, whole."""
    beside = file.with_suffix(f".{os.getpid()}")
    secrets = {"access_token": saved.access_token.reveal(), "refresh_token": saved.refresh_token.reveal()}
    beside.write_text(json.dumps({**secrets, "renew_at": saved.renew_at}))
    beside.replace(file)
