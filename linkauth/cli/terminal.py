"""Asking whoever sits at the terminal, if anybody does."""

from __future__ import annotations

import getpass
import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from linkauth.cli.settings import setting
from linkauth.errors import ConfigurationError
from linkauth.oauth.token import secret_str

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["ask", "ask_secret", "interruptible", "reason"]


def reason(error: OSError) -> str:
    """Why the system said no, in its own few words. asyncio's repeat the address."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def ask(what: str, otherwise: str) -> str:
    """A line from the terminal. Raises ``ConfigurationError`` where nobody is there, or nothing is said.

    ``otherwise``: what to do where nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what}: nobody is there to be asked; {otherwise}")
    with interruptible():
        return _said(input(f"{what}: "), what)


def ask_secret(variable: str, what: str) -> str:
    """A secret from the environment or the profile, else asked for without echo. Raises ``ConfigurationError`` as ``ask`` does."""
    found = secret_str(setting(variable) or "")
    if found:
        return found
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what}: set ${variable}")
    with interruptible():
        return _said(getpass.getpass(f"{what}: "), what)


def _said(text: str, what: str) -> str:
    if not text.strip():
        raise ConfigurationError(f"{what}: nothing was said")
    return secret_str(text.strip())  # a pasted address holds code and state


@contextmanager
def interruptible() -> Generator[None]:
    """Let Ctrl-C and SIGTERM end a question: the loop's own handlers would only act once it is answered."""
    ends: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in ends.items()}
    try:
        yield
    except EOFError:
        raise KeyboardInterrupt from None  # Ctrl-D says the same
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
