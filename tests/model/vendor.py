"""A vendor as a value: what it has granted, and what it answers."""

from __future__ import annotations

import attrs

from linkauth.vendors.vendor import RotationProfile
from tests.model.values import evolve

__all__ = ["CLIENT", "KEEPS", "ROTATES", "ROTATES_MILDLY", "Kind", "Session", "window"]


UNSAID = RotationProfile()


@attrs.frozen(kw_only=True, cache_hash=True)
class Kind:
    """What ``effects.Worker.vendor`` is asked for."""

    name: str
    rotation: RotationProfile = UNSAID
    needs_user: bool = True

    def refresh(self, serial: int) -> str | None:
        """What renews the token of ``serial``."""
        if not self.needs_user:
            return None
        return f"r{serial}" if self.rotation.rotates else "r"

    def renew(self, token: object) -> object:
        """A flow; nobody runs it here."""
        return token


ROTATES = Kind(name="rotates", rotation=RotationProfile(rotates=True))
ROTATES_MILDLY = Kind(
    name="rotates, and lets the session live when a token is spent twice",
    rotation=RotationProfile(rotates=True, reuse_revokes=False),
)
KEEPS = Kind(name="keeps the refresh token")
CLIENT = Kind(name="client credentials", needs_user=False)


def window(seconds: float) -> Kind:
    """Rotates, and answers the same again within ``seconds``."""
    return Kind(
        name=f"rotates, and answers again for {seconds:g} s",
        rotation=RotationProfile(rotates=True, replay_window=seconds),
    )


@attrs.frozen(cache_hash=True)
class Session:
    """One session at the vendor: the newest token, whether it lives, and when the last refresh token was spent."""

    kind: Kind
    serial: int = 0
    alive: bool = True
    spent_at: float = -1e9

    def is_spent(self, refresh: str | None) -> bool:
        return self.kind.rotation.rotates and refresh != self.kind.refresh(self.serial)

    def act(self, refresh: str | None, now: float) -> tuple[Session, int | None]:
        """The session afterwards, and the serial of the token that is granted; None: refused."""
        rotation = self.kind.rotation
        if not self.alive:
            return self, None
        if not self.is_spent(refresh):
            return evolve(self, serial=self.serial + 1, spent_at=now), self.serial + 1
        if refresh == self.kind.refresh(self.serial - 1) and now < self.spent_at + rotation.replay_window:
            return self, self.serial
        return (evolve(self, alive=False) if rotation.reuse_revokes else self), None
