"""The user's browser, where this machine has one that the user sees."""

from __future__ import annotations

import os
import sys
import webbrowser
from contextlib import suppress
from threading import Thread

__all__ = ["is_here", "is_remote", "show"]


def is_remote() -> bool:
    """Whether the user sits at another machine than this one."""
    return bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))


def is_here() -> bool:
    """Whether a browser opened on this machine would be seen by the user: without a display it would be one of text, in this terminal."""
    if is_remote():
        return False
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def show(url: str) -> None:
    """Open ``url``, and wait for nothing: some browsers end when the user closes them."""
    Thread(target=_open, args=(url,), daemon=True).start()


def _open(url: str) -> None:
    with suppress(webbrowser.Error, OSError):  # the URL is printed in any case
        webbrowser.open(url)
