"""A vendor as a value: what it has granted, and what it answers."""

from __future__ import annotations

from typing import Final

import attrs

from linkauth.oauth.token import Token
from linkauth.vendors.vendor import RotationProfile
from tests.model.values import evolve

__all__ = [
    "CLIENT",
    "KEEPS",
    "LOGIN",
    "ROTATES",
    "ROTATES_MILDLY",
    "ROTATION",
    "SECRETS",
    "SESSION",
    "Kind",
    "Login",
    "Logout",
    "Rotation",
    "Session",
    "window",
]


UNSAID = RotationProfile()
SESSION: Final = 100
"""Serials that a session has: its first token's is a multiple of that, so that what a later login brought has a higher one."""


@attrs.frozen(cache_hash=True)
class Login:
    """What is asked with what the user has."""


LOGIN: Final = Login()


@attrs.frozen(cache_hash=True)
class Logout:
    """Likewise: that the session of ``token`` is over."""

    token: Token


@attrs.frozen(cache_hash=True)
class Rotation:
    """Likewise: for another client secret, with a token of the client's."""


ROTATION: Final = Rotation()


@attrs.frozen(kw_only=True, cache_hash=True)
class Kind:
    """What ``protocol.Worker.vendor`` is asked for."""

    name: str
    rotation: RotationProfile = UNSAID
    needs_user: bool = True
    leaves_open: str = ""
    rotates_secret: bool = False
    """The record is of a client's secret, not of a token."""

    def refresh(self, serial: int) -> str | None:
        """What renews the token of ``serial``."""
        if not self.needs_user:
            return None
        return f"r{serial}" if self.rotation.rotates else f"r{serial - serial % SESSION}"

    # Flows; nobody runs them here: what is asked stands for them.

    def renew(self, token: object) -> object:
        return token

    def login(self) -> object:
        return LOGIN

    def logout(self, token: Token) -> object:
        return Logout(token)

    def rotate_secret(self, _: Token) -> object:
        return ROTATION


ROTATES = Kind(name="rotates", rotation=RotationProfile(rotates=True))
ROTATES_MILDLY = Kind(
    name="rotates, and lets the session live when a token is spent twice",
    rotation=RotationProfile(rotates=True, reuse_revokes=False),
)
KEEPS = Kind(name="keeps the refresh token")
CLIENT = Kind(name="client credentials", needs_user=False)
SECRETS = Kind(name="a client's secret", needs_user=False, rotates_secret=True)


def window(seconds: float) -> Kind:
    """Rotates, and answers the same again within ``seconds``."""
    return Kind(
        name=f"rotates, and answers again for {seconds:g} s",
        rotation=RotationProfile(rotates=True, replay_window=seconds),
    )


@attrs.frozen(cache_hash=True)
class Session:
    """The newest session at the vendor: its newest token, whether it lives, when the last refresh token was spent; and those before.

    Of a client: its newest secret, and no other is good.
    """

    kind: Kind
    serial: int = 0
    alive: bool = True
    spent_at: float = -1e9
    former: tuple[Session, ...] = ()

    def of(self, refresh: str | None) -> Session:
        """The session of a refresh token."""
        number = int(refresh[1:]) // SESSION if refresh else self.serial // SESSION
        return next((each for each in self.former if each.serial // SESSION == number), self)

    def is_spent(self, refresh: str | None) -> bool:
        session = self.of(refresh)
        return self.kind.rotation.rotates and refresh != self.kind.refresh(session.serial)

    def act(self, refresh: str | None, now: float) -> tuple[Session, int | None]:
        """The sessions afterwards, and the serial of the token that is granted; None: refused."""
        session = self.of(refresh)
        after, granted = session._renew(refresh, now)
        return self._with(session, after), granted

    def _renew(self, refresh: str | None, now: float) -> tuple[Session, int | None]:
        rotation = self.kind.rotation
        if not self.alive:
            return self, None
        if refresh == self.kind.refresh(self.serial) or not rotation.rotates:
            return evolve(self, serial=self.serial + 1, spent_at=now), self.serial + 1
        if refresh == self.kind.refresh(self.serial - 1) and now < self.spent_at + rotation.replay_window:
            return self, self.serial
        return (evolve(self, alive=False) if rotation.reuse_revokes else self), None

    def rotate(self) -> Session:
        """With another secret."""
        return evolve(self, serial=self.serial + 1)

    def login(self) -> Session:
        """After a login. The session before it lives on."""
        first = self.serial - self.serial % SESSION + SESSION
        return Session(self.kind, serial=first, former=(evolve(self, former=()), *self.former))

    def logout(self, refresh: str | None) -> Session:
        """After a logout with a token of a session, whichever that is."""
        session = self.of(refresh)
        return self._with(session, evolve(session, alive=False))

    def _with(self, before: Session, after: Session) -> Session:
        if before is self:
            return after
        return evolve(self, former=tuple(after if each is before else each for each in self.former))
