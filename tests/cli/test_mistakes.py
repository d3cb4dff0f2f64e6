"""What a command says of a mistake, or of what is away or missing: one sentence, whose turn it is, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import run
from tests.loopback import closed_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking  # a command line prints

MISTAKES: list[tuple[list[str], dict[str, str], str]] = [
    (["rotate-secret", "--store", "memory:", "--reveal", "--adopt"], {}, "--reveal goes alone, or with --recover"),
    (["status", "--store", "/var/lib/tokens"], {}, "a folder is file:PATH"),
    (["token", "linkxg", "--client-id", "a"], {}, "which store? Give --store URL or set $LINKAUTH_STORE"),
    (["status", "--store", "nowhere:x"], {}, "no store is installed for the scheme 'nowhere'"),
    (["status", "--store", "redis://[::1"], {}, "the store's URL cannot be read"),
    (
        ["token", "--store", "memory:"],
        {},
        "which vendor? Name one of linkkit, linkxg, linkxg-user, oauth2, sagex3, or of",
    ),
    (["token", "linkxg", "--store", "memory:"], {}, "give --client-id or set $LINKAUTH_CLIENT_ID"),
    (["token", "linkxg", "--store", "memory:", "--client-id", "a"], {}, "client secret: set $LINKAUTH_CLIENT_SECRET"),
    (["token", "sagex3", "--store", "memory:", "--client-id", "a"], {}, "sagex3: give --base-url"),
    (["token", "oauth2", "--store", "memory:", "--client-id", "a"], {}, "oauth2: give --issuer or --token-url"),
    (["connect", "linkxg-user", "--store", "memory:"], {}, "e-mail: nobody is there to be asked"),
    (["connect", "linkxg-user", "--store", "memory:", "--email", "a@b.c"], {}, "password: set $LINKAUTH_PASSWORD"),
    (["logout", "linkxg-user", "--store", "memory:", "--base-url", "http://vendor.example"], {}, "https is required"),
    (
        ["token", "linkxg", "--store", "memory:", "--client-id", "a"],
        {"LINKAUTH_KEYS": "c2hvcnQ="},
        "32 bytes in base64",
    ),
    (["token", "linkxg", "--store", "memory:", "--client-id", "a"], {"LINKAUTH_KEYS": ","}, "at least one 256-bit key"),
    (
        [
            "token",
            "oauth2",
            "--store",
            "memory:",
            "--client-id",
            "a",
            "--token-url",
            "https://a.example",
            "--extra",
            "b",
        ],
        {"LINKAUTH_CLIENT_SECRET": "s"},
        "--extra: NAME=VALUE is needed",
    ),
    (
        ["rotate-secret", "linkkit", "--store", "memory:", "--client-id", "a"],
        {"LINKAUTH_CLIENT_SECRET": "s"},
        "linkkit does not rotate client secrets",
    ),
    (
        ["connect", "linkkit", "--store", "memory:", "--client-id", "a", "--redirect-uri", "http://127.0.0.1:99999/"],
        {"LINKAUTH_CLIENT_SECRET": "s"},
        "absolute http(s) URL is needed",
    ),
    (
        ["connect", "linkkit", "--store", "memory:", "--client-id", "a", "--redirect-uri", "https://app.example/back"],
        {"LINKAUTH_CLIENT_SECRET": "s"},
        "nobody is there to be asked",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "env", "words"), MISTAKES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_mistake_is_told_in_a_sentence(here: Any, arguments: list[str], env: dict[str, str], words: str) -> None:
    """Status 1, one sentence, and who has to act: you."""
    said = here(*arguments, **env).badly(words, "Who has to act: you.")
    assert "c2hvcnQ=" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"], ["token", "frobnicate"], ["demo", "--lifetime", "-1"], ["demo", "--lifetime", "nan"],
        ["keep-alive", "linkxg-user", "--every", "0"], ["sandbox", "--port", "x"],
        ["rotate-secret", "--recover", "--adopt"], ["token", "linkxg", "--client-secret", "on-the-command-line"],
    ],
)  # fmt: skip
def test_what_is_not_understood(here: Any, arguments: list[str]) -> None:
    """Status 2, with the usage. There is no option for a secret."""
    ended = here(*arguments)
    assert ended.status == 2
    assert "usage: linkauth" in ended.err


def test_an_unknown_vendor_in_the_environment(here: Any) -> None:
    """$LINKAUTH_VENDOR is looked at as strictly as the argument."""
    assert here("token", LINKAUTH_VENDOR="frobnicate").status == 2


def test_a_store_that_is_away(here: Any, vendors: Vendors) -> None:
    """The operator is sent for, and the URL, which may hold a password, is not shown."""
    pytest.importorskip("redis")
    url = f"redis://:canary@127.0.0.1:{closed_port()}/0"
    said = here("status", LINKAUTH_STORE=url).badly("Who has to act: the operator.")
    assert "canary" not in said
    user = ["connect", *vendors.options("linkxg-user")]
    said = here(*user, LINKAUTH_STORE=url, **vendors.secrets("linkxg-user")).badly("Who has to act: the operator.")
    assert "canary" not in said


@pytest.mark.parametrize(
    "url",
    [
        "redis://:canary@localhost/0",
        "rediss://ada:canary@h:6379",
        "redis://h/0?password=canary",
        "redis+sentinel://h/?db=1&Sentinel_Password=canary",
        "redis://:can@nary@h",
        "unix://ada:canary@/run/redis.sock",
    ],
)
def test_a_password_is_no_argument(here: Any, url: str) -> None:
    """Everybody on a host sees arguments: a store's URL with a password is refused there, and the environment named."""
    for arguments in (["--store", url], [f"--store={url}"]):
        for command in ("status", "token", "connect", "keep-alive", "logout", "rotate-secret"):
            said = here(command, *arguments)
            assert said.status == 2
            assert "$LINKAUTH_STORE" in said.err
            assert "nary" not in said.err + said.out


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["token"], ["status", "--stroe"], ["token", "linkxg", "--client-auth"], [], ["copy", "memory:"]],
)
def test_a_mistyped_url_is_not_repeated_with_its_password(here: Any, arguments: list[str]) -> None:
    """In the wrong place, or after an option that there is not: argparse repeats it, and its password is masked."""
    said = here(*arguments, "redis://ada:can@nary@localhost/0")
    assert said.status in {1, 2}
    assert "nary" not in said.err + said.out


def test_a_vendor_that_is_away(here: Any, store: str) -> None:
    """Nobody has to act when a vendor cannot be reached."""
    base = f"http://127.0.0.1:{closed_port()}"
    arguments = ["connect", "linkxg-user", "--email", "a@b.c", "--base-url", base, "--store", store]
    here(*arguments, LINKAUTH_PASSWORD="canary").badly("Nobody has to act: try again later.")


def test_a_wrong_secret(here: Any, vendors: Vendors, store: str) -> None:
    """What the vendor said, whose turn it is, and nothing of what was sent."""
    said = here("token", *vendors.options("linkxg"), "--store", store, LINKAUTH_CLIENT_SECRET="canary")
    assert "canary" not in said.badly("invalid_client", "Who has to act: you.")


@pytest.mark.parametrize(
    ("package", "arguments", "env", "cure"),
    [
        ("redis", ["status", "--store", "redis://localhost"], {}, "pip install 'linkauth[redis]'"),
        ("cryptography", ["status", "--store", "memory:"], {"LINKAUTH_KEYS": "x"}, "pip install 'linkauth[crypto]'"),
        ("rich", ["demo"], {}, "pip install 'linkauth[cli]'"),
    ],
)
def test_a_missing_extra(tmp_path: Path, package: str, arguments: list[str], env: dict[str, str], cure: str) -> None:
    """Without the package of an extra the command says which extra to install."""
    broken = tmp_path / package / "__init__.py"
    broken.parent.mkdir()
    broken.write_text(f"raise ModuleNotFoundError(name={package!r})")
    key = "A" * 43 + "="
    path = {"PYTHONPATH": f"{tmp_path}:{run.__globals__['ROOT']}:{run.__globals__['ROOT'] / 'stores'}"}
    env = dict.fromkeys(env, key) | path
    run(*arguments, **env).badly(cure)
