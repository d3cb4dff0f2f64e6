"""What is typed: any arguments end in exit status 0, 1 or 2 with words, never in a traceback."""

from __future__ import annotations

import contextlib
import functools
import io
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linkauth import AuthEngine
from linkauth.cli import main, registration
from linkauth.errors import NotSent
from linkauth.transport import Transport
from linkauth.vendors import SageX3, Vendor

TIMES = 20 * int(os.environ.get("LINKAUTH_FUZZ", "1"))
SECRET = "the-apps-own-secret"

# As argv has it: bytes that are no UTF-8 come as half surrogate pairs.
texts = st.text(st.characters(exclude_characters="\0"), max_size=12) | st.binary(max_size=8).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b""))
)
values = (
    texts
    | st.sampled_from(
        [
            *("memory:", "redis://127.0.0.1:1/0", "file:", "linkxg", "http://127.0.0.1:1/v1", "https://x.example"),
            *("http://127.0.0.1:1/back", "-1", "0", "99999999999", "nan", "inf", "1e999", "a=b", "=", "none", "basic"),
        ]
    )
    | st.sampled_from(["redis://", "rediss://h?", "unix://", "redis+sentinel://", "memory:"]).flatmap(
        lambda scheme: texts.map(lambda rest: scheme + rest)
    )
)
options = st.sampled_from(
    [
        *("--store", "--account", "--client-id", "--scope", "--base-url", "--customer", "--name", "--issuer"),
        *("--token-url", "--authorize-url", "--revoke-url", "--client-auth", "--extra", "--email", "--redirect-uri"),
        *("--listen", "--every", "--seconds", "--host", "--port", "--set"),
    ]
)
registered = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("--store", "--account", "--client-id", "--scope", "--base-url", "--customer", "--name", "--issuer"),
                *("--token-url", "--authorize-url", "--revoke-url", "--client-auth", "--extra", "--set"),
            ]
        ),
        values,
    ).map("=".join),  # so that a value may begin with a dash
    max_size=5,
)
words = st.lists(
    st.tuples(options, values).map(list)
    | st.tuples(options, values).map(lambda pair: ["=".join(pair)])
    | st.sampled_from([["--once"], ["--json"], ["--reveal"], ["--verbose"], ["--help"], ["--"]])
    | values.map(lambda value: [value]),
    max_size=6,
).map(lambda several: [word for each in several for word in each])
commands = st.sampled_from(["connect", "status", "token", "keep-alive", "rotate-secret", "logout", "new-key"])
sessions = st.sampled_from(["connect", "token", "keep-alive", "rotate-secret", "logout"])
vendors = st.sampled_from(["linkxg", "linkxg-user", "linkkit", "sagex3", "oauth2", "slack", "shopify", "gitlab"])
good = ["--store", "memory:", "--client-id", "c"]


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No network, no long waits, nobody's environment."""

    async def send(*_: object) -> None:
        raise NotSent("nowhere: no connection came about")

    monkeypatch.setattr(Transport, "send", send)
    monkeypatch.setattr(registration, "AuthEngine", functools.partial(AuthEngine, timeout=0.05))
    for vendor in (Vendor, SageX3):
        monkeypatch.setattr(vendor, "pending_lifetime", 0.01)
    for name in [name for name in os.environ if name.startswith("LINKAUTH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LINKAUTH_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("LINKAUTH_PASSWORD", SECRET)
    monkeypatch.chdir(tmp_path)


def typed(arguments: list[str]) -> tuple[int | str | None, str]:
    """Exit status and all that was said, on streams as a terminal's are."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: int | str | None = main(arguments)
        except SystemExit as ended:
            status = ended.code
    for stream in (out, err):
        stream.flush()
    return status, (out.buffer.getvalue() + err.buffer.getvalue()).decode()  # type: ignore[attr-defined]


@pytest.mark.blocking
@settings(
    max_examples=TIMES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    arguments=words
    | st.builds(lambda command, rest: [command, *rest], commands, words)
    | st.builds(lambda command, vendor, rest: [command, vendor, *good, *rest], sessions, vendors, registered)
    | st.builds(
        lambda vendor, uri, rest: ["connect", vendor, *good, f"--redirect-uri={uri}", *rest],
        vendors,
        values,
        registered,
    )
)
@example(arguments=["token", "linkxg", *good, "--account", "\udcff"])
@example(arguments=["token", "oauth2", *good, "--token-url", "https://[::1"])
@example(arguments=["token", "oauth2", *good, "--issuer", "https://x.example"])
@example(arguments=["connect", "linkkit", *good, "--redirect-uri", "http://127.0.0.1:1/back", "--listen", "-5"])
@example(arguments=["token", "slack", *good, "--set", "former=x"])
@example(arguments=["token", "slack", *good, "--set", "dialect=x"])
@example(arguments=["token", "gitlab", *good, "--set", "base=\udcff"])
@example(arguments=["connect", "linkkit", *good, "--redirect-uri", "http://127.0.0.1:99999/back"])
@example(arguments=["connect", "linkkit", *good, "--listen", "99999999999"])
@example(arguments=["keep-alive", "linkxg", *good, "--every", "1e999"])
@example(arguments=["keep-alive", "linkxg", *good, "--once"])
@example(arguments=["connect", "linkxg-user", *good, "--email", "\udcff\x1b"])
@example(arguments=["status", "--store", "redis+sentinel://\udcff"])
@example(arguments=["sandbox", "--port", "99999999999"])
@example(arguments=["sandbox", "--port", "-1"])
@example(arguments=["sandbox", "--host", "\udcff"])
@example(arguments=["sandbox", "--host", "0.0.0.0"])
@example(arguments=["demo", "--lifetime", "nan"])
def test_anything_typed_ends_in_words(alone, arguments):
    """Well, an error with who has to act, or not understood; no traceback, and the secret is not shown."""
    if "keep-alive" in arguments and "--once" not in arguments:
        arguments = [*arguments, "--once"]  # or it would go on
    status, said = typed(arguments)
    assert status in {0, 1, 2, None}, said
    assert said or status == 0
    assert "Traceback" not in said
    assert SECRET not in said
    if status == 1 and "status" not in arguments:
        assert "has to act" in said, said
