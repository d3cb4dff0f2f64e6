"""aioresponses for the tests of apps that use linkauth, on every aiohttp that linkauth works with.

``aioresponses`` 0.7.9 and before fail on aiohttp 3.14 and newer: they make answers without an argument that aiohttp has
asked for since. Used from here they work, and on an older aiohttp, or should they be mended, nothing is changed::

    from linkauth.aioresponses import aioresponses

    with aioresponses() as mocked:
        mocked.post(f"{vendor.base_url}/oauth/token", payload={"access_token": "at", ...})
        mocked.get(f"{vendor.base_url}/products", payload={"success": True, "data": []})

aioresponses answers in aiohttp's place, before anything of a session has run. So linkauth's token requests are answered,
and calls through ``credential.session()`` too, but unsigned: middlewares are passed by, the credential among them, and
with it renewals on a 401; so are time limits, connections, redirect rules and tracing. What hangs on one of these wants
a real server: ``linkauth.sandbox`` is one.
"""

from __future__ import annotations

from inspect import signature
from typing import Any, Final
from unittest.mock import Mock, patch

import aioresponses as theirs
from aiohttp import ClientResponse
from aioresponses import CallbackResult

__all__ = ["CallbackResult", "aioresponses"]

ASKED_FOR: Final = "stream_writer" in signature(ClientResponse.__init__).parameters
"""Whether this aiohttp wants to be told what writes the request (pnuckowski/aioresponses, issue 289)."""


class _Response(ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if ASKED_FOR:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
        super().__init__(*args, **kwargs)


class aioresponses(theirs.aioresponses):  # noqa: N801  # theirs is written so
    """``aioresponses.aioresponses`` with answers that aiohttp takes: a context manager or a decorator, as theirs is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Where they look for the class of an answer that names none, as long as they answer.
        self._response_class = patch("aioresponses.core.ClientResponse", _Response)

    def start(self) -> None:
        """Begin to answer."""
        self._response_class.start()
        super().start()

    def stop(self) -> None:
        """Answer no more."""
        super().stop()
        self._response_class.stop()
