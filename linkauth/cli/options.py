"""What can be typed after each command, but for what several have (``arguments``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.cli.arguments import Store, add_registration, add_store, age, seconds
from linkauth.cli.settings import setting

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = [
    "REDIRECT_URI",
    "completion",
    "connect",
    "copy",
    "demo",
    "doctor",
    "export",
    "forget",
    "import_",
    "keep_alive",
    "logout",
    "nothing",
    "reseal",
    "rotate_secret",
    "sandbox",
    "status",
    "token",
]

REDIRECT_URI: Final = "http://127.0.0.1:8766/callback"
WATCHED: Final = 5.0
"""Seconds between two looks: of ten thousand credentials one takes a second or two of the store's time."""


def nothing(one: ArgumentParser) -> None:
    """Nothing can be said."""


def demo(one: ArgumentParser) -> None:
    """How long tokens live."""
    one.add_argument("--lifetime", type=seconds, default=4.0, help="seconds that an access token lives (default 4)")


def sandbox(one: ArgumentParser) -> None:
    """Where it listens, and how it tells."""
    one.add_argument("--host", default="127.0.0.1", help="an IPv4 loopback address (default 127.0.0.1)")
    one.add_argument("--port", type=int, default=8765, help="0 for any that is free (default 8765)")
    one.add_argument("--json", action="store_true", help="print where all is, and the test secrets, as one line")


def completion(one: ArgumentParser) -> None:
    """Which shell."""
    one.add_argument("shell", choices=["bash", "zsh", "fish"], help="whose script it is to be")


def connect(one: ArgumentParser) -> None:
    """Which user, and where the vendor's answer comes to."""
    add_registration(one)
    one.add_argument("--email", default=setting("LINKAUTH_EMAIL"), help="linkxg-user; default $LINKAUTH_EMAIL")
    one.add_argument(
        "--redirect-uri",
        default=setting("LINKAUTH_REDIRECT_URI") or REDIRECT_URI,
        help=f"as registered with the vendor; default $LINKAUTH_REDIRECT_URI, else {REDIRECT_URI}",
    )
    port = one.add_mutually_exclusive_group()
    port.add_argument(
        "--port",
        type=_port,
        help="another port for a redirect URI on this machine; it must be registered so, unless the vendor lets it vary (RFC 8252)",
    )
    port.add_argument(
        "--listen",
        type=_port,
        metavar="PORT",
        help="take the callback at this port of 127.0.0.1, for a redirect URI whose host passes it on to here",
    )
    one.add_argument(
        "--no-browser", action="store_true", help="open none; there is none over SSH, or without a display"
    )
    one.add_argument(
        "--paste",
        action="store_true",
        help="take the address that the browser was sent to from this terminal as well, as it is over SSH",
    )


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 2**16:
        raise ValueError
    return number


_port.__name__ = "port"  # argparse says it: "invalid port value"


def token(one: ArgumentParser) -> None:
    """What is told of it; of ``refresh`` too."""
    add_registration(one)
    one.add_argument("--reveal", action="store_true", help="print the access token, and nothing else")
    one.add_argument("--json", action="store_true", help="one JSON object; with --reveal the token is in it")


def keep_alive(one: ArgumentParser) -> None:
    """How often, and whether secrets are rotated with it."""
    add_registration(one)
    rounds = "seconds between two rounds of the fleet (default 3600)"
    one.add_argument("--every", type=seconds, default=3600.0, help=rounds)
    one.add_argument("--once", action="store_true", help="make one round and stop, for a timer that calls again")
    older = "and replace the client's secret (LinkXG) when it is older than this, such as 90d"
    one.add_argument("--rotate-secrets-after", type=age, metavar="AGE", help=older)


def rotate_secret(one: ArgumentParser) -> None:
    """To rotate, or to look, or to help where the answer was not understood."""
    add_registration(one)
    what = one.add_mutually_exclusive_group()
    what.add_argument(
        "--recover", action="store_true", help="look for an answer that was not understood; send nothing to the vendor"
    )
    what.add_argument(
        "--adopt",
        action="store_true",
        help="let all workers go on with the secret in $LINKAUTH_NEW_SECRET (else asked for); send nothing to the vendor",
    )
    what.add_argument(
        "--older-than",
        type=age,
        metavar="AGE",
        help="only if it is older than this, such as 90d, for a timer that calls every day; one that linkauth has not "
        "rotated yet counts from the first such call",
    )
    one.add_argument(
        "--reveal",
        action="store_true",
        help="print the secret that the store has, and nothing else; with --recover: the answer. Neither sends anything to the vendor",
    )


def logout(one: ArgumentParser) -> None:
    """Whose session."""
    add_registration(one)


def import_(one: ArgumentParser) -> None:
    """How lines come in."""
    add_registration(one)
    one.add_argument("--dry-run", action="store_true", help="say what would come in; store nothing, ask no vendor")
    one.add_argument("--replace", action="store_true", help="also in the place of sessions that live here")
    one.add_argument(
        "--no-renew", action="store_true", help="renew none of them now: each is renewed when it is first used"
    )


def status(one: ArgumentParser) -> None:
    """Which of them, and how they are told."""
    add_store(one)
    one.add_argument("--vendor", metavar="NAME", help="what is of this vendor alone")
    one.add_argument("--account", metavar="NAME", help="what is of this account alone")
    one.add_argument("--needs-user", action="store_true", help="what needs its user alone, now or soon")
    one.add_argument(
        "--json", action="store_true", help="one JSON object a line; with --watch, all of them anew each time"
    )
    again = f"look again every so often (default {WATCHED:g} s), also while the store is away, until Ctrl-C (exit status 130)"
    one.add_argument("--watch", nargs="?", type=seconds, const=WATCHED, metavar="SECONDS", help=again)


def doctor(one: ArgumentParser) -> None:
    """Which store, and which vendor besides."""
    add_registration(one)


def export(one: ArgumentParser) -> None:
    """Which sessions, and whether anybody is asked."""
    add_store(one)
    one.add_argument("--vendor", metavar="NAME", help="the sessions at this vendor alone")
    one.add_argument("--account", metavar="NAME", help="those of this account alone")
    one.add_argument("--reveal", action="store_true", help="print the secrets without being asked, as into a pipe")


def copy(one: ArgumentParser) -> None:
    """FROM and TO."""
    one.add_argument("source", action=Store, metavar="FROM", help="the store that is read")
    one.add_argument("target", action=Store, metavar="TO", help="the store that is written")


def forget(one: ArgumentParser) -> None:
    """Which credentials."""
    add_store(one)
    one.add_argument("--vendor", metavar="NAME", help="at this vendor alone")
    one.add_argument("--client-id", metavar="ID", help="of this client alone")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--account", metavar="NAME", help="whose credentials")
    what.add_argument(
        "--key", help="the one of this key, as `linkauth status --json` tells it, also if it cannot be read"
    )


def reseal(one: ArgumentParser) -> None:
    """Which store."""
    add_store(one)
