"""Planted leaks: one for each pocket. ``test_planted.py`` sees each of them caught.

Run as tests of their own (``pytest tests/canary/leaks.py``) every one of them fails.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from linkauth import ConfigurationError, LinkAuthError, ReauthorizationRequired
from linkauth.engine.events import EventKind, EventLog
from linkauth.engine.status import Status
from linkauth.errors import InvalidGrant, MalformedResponse, VendorUnavailable
from linkauth.oauth import wire
from linkauth.oauth.token import Secret, Token
from linkauth.oauth.url import endpoint_url
from linkauth.sandbox.tokens import secret, signed
from tests.canary.scan import canary

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = secret("planted")
MADE_UP = "correct-horse-battery"
"""No mark: known because it becomes a ``Secret``."""
log = logging.getLogger("linkauth.planted")


def caught(error: Exception) -> None:
    with pytest.raises(type(error)):
        raise error


def logged() -> None:
    log.debug("the answer was %s", SECRET)


def logged_by_a_neighbour() -> None:
    logging.getLogger("some.library").debug("header %r", {"Authorization": f"Bearer {SECRET}"})


def logged_argument_that_the_message_hides() -> None:
    log.info("%.3s", SECRET)


def logged_extra() -> None:
    log.warning("renewed", extra={"token": SECRET})


def logged_traceback() -> None:
    try:
        raise VendorUnavailable("no answer") from ValueError(SECRET)
    except VendorUnavailable:
        log.exception("failed")


def logged_made_up_secret() -> None:
    log.error("wrong password %s", Secret(MADE_UP).reveal())


def logged_jwt() -> None:
    log.error("got %s", signed({"sub": "ada", "exp": 1}, b"k"))


def message() -> None:
    str(LinkAuthError(f"refused {SECRET}"))


def message_of_the_vendor() -> None:
    InvalidGrant("invalid_grant", f"{SECRET} is unknown")


def attribute() -> None:
    error = VendorUnavailable("no answer")
    error.answer = {"access_token": SECRET}  # type: ignore[attr-defined]
    caught(error)


def attribute_in_the_repr_of_an_object() -> None:
    class Answer:
        def __repr__(self) -> str:
            return f"<Answer {SECRET}>"

    caught(MalformedResponse("not JSON", raw=Answer()))


def note() -> None:
    error = VendorUnavailable("no answer")
    error.add_note(f"while sending {SECRET}")
    caught(error)


def cause() -> None:
    with pytest.raises(LinkAuthError):
        raise LinkAuthError("failed") from KeyError(SECRET)


def context_behind_from_none() -> None:
    with pytest.raises(LinkAuthError):
        try:
            raise KeyError(SECRET)
        except KeyError:
            raise LinkAuthError("failed") from None


def document_of_a_json_error() -> None:
    import json

    with pytest.raises(LinkAuthError):
        try:
            json.loads(f'{{"access_token": "{SECRET}"')
        except ValueError:
            raise LinkAuthError("not JSON") from None


def member_of_a_group() -> None:
    caught(ExceptionGroup("several", [LinkAuthError("a"), ValueError(SECRET)]))


def pickle() -> None:
    class Careless(ReauthorizationRequired):
        unpicklable = frozenset()

        def __repr__(self) -> str:
            return "Careless()"

        __str__ = __repr__

    globals()["Careless"] = Careless
    Careless.__qualname__ = "Careless"
    caught(Careless("log in", credential=_Hidden(SECRET)))


class _Hidden:
    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "****"


def local_of_a_frame() -> None:
    with pytest.raises(TypeError):
        wire.words(5).join([SECRET, 5])  # the test's own frame: nothing of linkauth's
    with pytest.raises(TypeError):
        wire.words("x" * 10, SECRET, Breaking())  # type: ignore[arg-type]  # linkauth's frame holds SECRET in plain


def held(value: Any) -> None:
    """A value that stands in a frame of linkauth's, whose own ``repr`` shows nothing."""
    with pytest.raises(ConfigurationError):
        endpoint_url(value)


def in_a_mapping() -> None:
    held(wire.Masked(code=SECRET))


def in_the_name_of_a_mapping() -> None:
    held(wire.Masked({SECRET: 1}))


def in_containers_in_containers() -> None:
    held(wire.Masked(params=[({"state": {SECRET}},)]))


def in_a_list() -> None:
    class Quiet(list[str]):
        def __repr__(self) -> str:
            return "[****]"

    held(Quiet([SECRET]))


def in_a_tuple() -> None:
    class Pair(tuple[str, str]):
        __slots__ = ()

        def __repr__(self) -> str:
            return "(****)"

    held(Pair(["code", SECRET]))


def in_bytes() -> None:
    held(wire.Masked(body=SECRET.encode()))


def in_an_attrs_object() -> None:
    held(attrs.make_class("Quiet", {"code": attrs.field(repr=False)})(SECRET))


def in_a_dataclass() -> None:
    held(dataclasses.make_dataclass("Quiet", [("code", str, dataclasses.field(repr=False))])(SECRET))


def in_a_slot_of_linkauths() -> None:
    quiet = object.__new__(Secret)
    quiet._value = SECRET  # type: ignore[assignment]
    held(quiet)


def in_a_dict_of_linkauths() -> None:
    quiet = type("Quiet", (), {"__module__": "linkauth.planted", "__repr__": lambda _: "****"})()
    quiet.code = SECRET
    held(quiet)


def in_a_closure() -> None:
    code = SECRET

    def again() -> str:
        return code

    again.__module__ = "linkauth.planted"
    held(again)


def in_the_arguments_of_an_exception() -> None:
    class Quiet(Exception):
        def __repr__(self) -> str:
            return "Quiet()"

    held([Quiet(SECRET)])


class Breaking(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise TypeError("planted")

    def __bool__(self) -> bool:
        raise TypeError("planted")


def event() -> None:
    EventLog(None, lambda: 0.0).tell(EventKind.FAILED, "linkxg", "default", f"{SECRET} was refused")


def status() -> None:
    Status(vendor="linkxg", account="ada", key="k", version=1, now=0.0, error=f"{SECRET} was refused")


def warning() -> None:
    with pytest.warns(UserWarning, match="is old") as seen:
        warnings.warn(f"{SECRET} is old", stacklevel=1)
    raise_again(seen)


def raise_again(seen: Any) -> None:
    # As errors (filterwarnings) they are exceptions like any other.
    with pytest.raises(UserWarning):
        raise seen[0].message


def asyncio_debug_output() -> None:
    async def slow() -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.0
        loop.call_soon(print_nothing, canary())  # a handle's repr tells its arguments
        await asyncio.sleep(0.001)

    asyncio.run(slow(), debug=True)


def print_nothing(_: str) -> None:
    """A callback."""


def unretrieved_exception_of_a_task() -> None:
    async def fails() -> None:
        raise ValueError(SECRET)

    async def main() -> None:
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    import gc

    asyncio.run(main())
    gc.collect()


def a_token_that_shows_itself() -> None:
    class Open(str):
        __slots__ = ()

    token = Token(access_token="x", expires_at=1.0)
    object.__setattr__(token, "access_token", Open(SECRET))
    log.info("%r", token)


def command_output() -> None:
    # As tests/cli/conftest.py hears every command, in this process or another.
    from tests.cli.conftest import ran

    ran(["token", "linkxg"], 0, f"your token is {SECRET}", "")


def stdout() -> None:
    print(f"your token is {SECRET}")


def stderr() -> None:
    print(f"linkauth: {SECRET} was refused", file=sys.stderr)


PLANTED: list[Callable[[], None]] = [
    logged,
    logged_by_a_neighbour,
    logged_argument_that_the_message_hides,
    logged_extra,
    logged_traceback,
    logged_made_up_secret,
    logged_jwt,
    message,
    message_of_the_vendor,
    attribute,
    attribute_in_the_repr_of_an_object,
    note,
    cause,
    context_behind_from_none,
    document_of_a_json_error,
    member_of_a_group,
    pickle,
    local_of_a_frame,
    in_a_mapping,
    in_the_name_of_a_mapping,
    in_containers_in_containers,
    in_a_list,
    in_a_tuple,
    in_bytes,
    in_an_attrs_object,
    in_a_dataclass,
    in_a_slot_of_linkauths,
    in_a_dict_of_linkauths,
    in_a_closure,
    in_the_arguments_of_an_exception,
    event,
    status,
    warning,
    asyncio_debug_output,
    unretrieved_exception_of_a_task,
    a_token_that_shows_itself,
    command_output,
]
PRINTED = [stdout, stderr]


@pytest.mark.parametrize("leak", [*PLANTED, *PRINTED], ids=lambda leak: leak.__name__)
def test_leak(leak):
    """It leaks, and so this test must fail."""
    leak()
