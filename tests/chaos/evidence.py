"""What the vendor and the store saw, what the workers said, and what was done to whom when.

It is all that the judge knows, and it can be kept in a file, so that a campaign is judged again without running it again.
Refresh tokens have short names here (``tracing.name_of``). Times are seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Self

import attrs

if TYPE_CHECKING:
    from pathlib import Path

FOREVER = 1e12


@attrs.define(kw_only=True)
class Disturbance:
    """Something done to one host, or (``host`` empty) to all. ``loses``: the store lost some of its data."""

    what: str
    host: str = ""
    begun: float
    ended: float = FOREVER
    loses: bool = False


@attrs.define(kw_only=True)
class Exchange:
    """A refresh token that the vendor took, and what it gave for it."""

    account: str
    host: str
    spent: str
    issued: str
    arrived: float
    answered: float
    seen: float | None = None
    """When somebody who looked into the store first saw it there."""


@attrs.define(kw_only=True)
class Reuse:
    """A spent refresh token that the vendor was sent once more."""

    account: str
    host: str
    spent: str
    at: float


@attrs.define(kw_only=True)
class Login:
    """A new session: what the vendor issued when, after which nothing of the one before matters."""

    account: str
    issued: str
    at: float
    host: str = ""
    why: str = ""
    """What the one before had come to."""
    told: float | None = None
    """When a worker sent for the user, and ``by``: which."""
    by: str = ""
    seen: float | None = None
    """As of an exchange's answer."""
    spent: str = "-"

    @property
    def arrived(self) -> float:
        """As of an exchange."""
        return self.at

    @property
    def answered(self) -> float:
        """As of an exchange."""
        return self.at


@attrs.define(kw_only=True)
class Mark:
    """What a worker said that it did (``tracing``)."""

    host: str
    at: float
    what: str
    account: str = ""
    token: str = ""
    number: int = 0
    more: str = ""


@attrs.define(kw_only=True)
class Evidence:
    """Everything of one campaign, each in the order of time."""

    begun: float = 0.0
    ended: float = FOREVER
    lifetime: float = 3.0
    """Seconds of an access token."""
    with_escrow: list[str] = attrs.field(factory=list)
    """Hosts."""
    exchanges: list[Exchange] = attrs.field(factory=list)
    reuses: list[Reuse] = attrs.field(factory=list)
    logins: list[Login] = attrs.field(factory=list)
    disturbances: list[Disturbance] = attrs.field(factory=list)
    marks: list[Mark] = attrs.field(factory=list)

    def dump(self, path: Path) -> None:
        """Keep it."""
        path.write_text(json.dumps(attrs.asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """What was kept."""
        told = json.loads(path.read_text())
        for name, kind in KINDS.items():
            told[name] = [kind(**each) for each in told[name]]
        return cls(**told)


KINDS = {
    "exchanges": Exchange,
    "reuses": Reuse,
    "logins": Login,
    "disturbances": Disturbance,
    "marks": Mark,
}
