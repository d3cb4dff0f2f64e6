"""What is said of a Redis that failed: where it is and why, in words of our own.

What redis-py says, and what a server says, may quote commands, values and logins. So only kinds of errors, the server's codes
and the operating system's own words go on.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from typing import TYPE_CHECKING

from redis.exceptions import TimeoutError as RedisTimeout

from linkauth.errors import CorruptRecord, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["code", "problem", "reason"]


def problem(error: Exception, key: str, where: str, timeout: float) -> StoreError:
    """What to tell the operator of ``error``. ``where``: the server, empty where that is not known; ``timeout``: seconds."""
    if "WRONGTYPE" in str(error):
        return CorruptRecord(f"Redis: the record {key!r} cannot be read: something else lives under its name")
    at = f" at {where}" if where else ""
    return StoreUnavailable(f"Redis{at}: {reason(error, timeout)}")


def reason(error: Exception, timeout: float) -> str:
    """Why: a time-out, a name that leads nowhere, what the system or TLS says, the server's code, or the kind of error."""
    late = f"no answer within {timeout:g} s"
    if isinstance(error, (TimeoutError, RedisTimeout)):
        return late
    kind = type(error).__name__
    if said := code(error):
        return f"{kind} ({said})"
    for cause in _causes(error):
        match cause:
            case TimeoutError():
                return late
            case socket.gaierror():
                return f"its name was not resolved ({cause.strerror})"
            case ssl.SSLCertVerificationError():
                return f"no trusted TLS connection came about ({cause.verify_message})"
            case ssl.SSLError():
                return f"no TLS connection came about ({cause.reason})"
            case OSError() if words := _systems(cause):
                return words
            case _:
                pass
    return "the connection was closed" if str(error).startswith("Connection closed") else kind


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error``, and what redis-py made it of."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _systems(error: OSError) -> str:
    """In the system's words. asyncio's own, for a name with several addresses, hold nothing but a number for each."""
    numbers = [error.errno] if error.errno else re.findall(r"\[Errno (\d+)\]", str(error))
    return ", ".join(dict.fromkeys(os.strerror(int(number)) for number in numbers))


def code(error: object) -> str:
    """The server's word for it. Redis 6.2 tells what befell a command in a script in the middle of a sentence."""
    words = str(error)
    found = re.search(r": -([A-Z]{2,20})\b", words) or re.match(r"([A-Z]{2,20})\b", words)
    return found[1] if found else ""
