"""The commands that are one call each, against ``linkauth sandbox``."""

from __future__ import annotations

import asyncio
import json
import re
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest

import linkauth
from linkauth import AuthEngine, OAuth2
from linkauth_stores.file import FileStore
from tests.cli.conftest import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking  # a command line prints


def test_token_says_until_when_and_reveals_only_when_told(here: Any, vendors: Vendors, store: str) -> None:
    """``token`` names expiry and scope; the token itself comes with --reveal alone; two calls share one token."""
    how = ["token", *vendors.options("linkxg"), "--store", store, "--scope", "products:read"]
    told = here(*how, **vendors.secrets("linkxg")).well()
    revealed = here(*how, "--reveal", **vendors.secrets("linkxg")).well().strip()
    assert "for 15 min" in told
    assert "products:read" in told
    assert revealed.count(".") == 2
    assert revealed not in told
    assert not [secret for secret in vendors.every_secret if secret in told]
    assert here(*how, **vendors.secrets("linkxg")).well().split("fingerprint")[1] == told.split("fingerprint")[1]


def test_as_a_process_with_everything_in_the_environment(vendors: Vendors, store: str) -> None:
    """``python -m linkauth token``, its vendor, registration, store and secret all from variables."""
    part = vendors.at["linkxg"]
    env = {
        "LINKAUTH_STORE": store,
        "LINKAUTH_VENDOR": "linkxg",
        "LINKAUTH_CLIENT_ID": part["client_id"],
        "LINKAUTH_BASE_URL": part["base_url"],
        **vendors.secrets("linkxg"),
    }
    assert "valid until" in run("token", **env).well()


def test_status_of_an_empty_store(here: Any, store: str, tmp_path: Path) -> None:
    """An empty store is no error, though one that is not there is."""
    (tmp_path / "store").mkdir(0o700)
    assert here("status", "--store", store).well() == "The store holds no credential.\n"
    assert here("status", "--store", store, "--json").well() == ""


def test_status_in_words_and_as_json(here: Any, vendors: Vendors, store: str) -> None:
    """One line for each credential; as JSON with the fields of ``Status``; no secret in either."""
    for vendor in ("linkxg", "linkxg-user"):
        here("connect", *vendors.options(vendor), "--store", store, **vendors.secrets(vendor)).well()
    words = here("status", "--store", store).well()
    lines = here("status", "--json", "--store", store).well().splitlines()
    assert re.search(r"^linkxg/default +token for 15 min$", words, re.MULTILINE)
    assert re.search(r"^linkxg-user/default  token for 15 min  refresh token for 7 d$", words, re.MULTILINE)
    found = {each["vendor"]: each for each in map(json.loads, lines)}
    assert found.keys() == {"linkxg", "linkxg-user"}
    assert found["linkxg"]["account"] == "default"
    assert found["linkxg"]["expires_at"] > found["linkxg"]["now"]
    assert not found["linkxg-user"]["needs_user"]


def test_logout_ends_the_session_and_status_says_who_has_to_act(here: Any, vendors: Vendors, store: str) -> None:
    """After ``logout`` the vendor has ended the session, ``status`` exits with 1, and ``token`` sends for the user."""
    user = [*vendors.options("linkxg-user")[:3], "--store", store]
    here("connect", *user, "--email", vendors.at["linkxg"]["email"], **vendors.secrets("linkxg-user")).well()
    assert here("logout", *user).well() == "Logged out: linkxg-user/default\n"
    ended = here("status", "--store", store)
    assert ended.status == 1
    assert "THE USER MUST LOG IN" in ended.out
    assert ended.err == "Who has to act: the user, for 1 of 1.\n"
    here("token", *user).badly("Who has to act: the user, by `linkauth connect`")
    sage = [*vendors.options("sagex3"), "--store", store]
    run(
        "import",
        *sage,
        "--no-renew",
        stdin='{"account": "default", "refresh_token": "rt"}',
        **vendors.secrets("sagex3"),
    )
    out = here("logout", *sage, **vendors.secrets("sagex3")).well()
    assert "What is left: the pairing stays open at Sage X3" in out


@pytest.mark.parametrize(
    ("days", "status", "words", "who"),
    [
        (50, 0, "session for 50 d", ""),
        (
            95,
            1,
            "session for 5 d  THE USER MUST CONSENT AGAIN BEFORE THAT",
            "the user, before the session ends, for 1 of 1",
        ),
        (101, 1, "THE USER MUST LOG IN OR PAIR AGAIN  the session has ended", "the user, for 1 of 1"),
    ],
)
def test_status_tells_in_time_that_a_session_ends(
    here: Any, tmp_path: Path, days: int, status: int, words: str, who: str
) -> None:
    """Of one that ends a hundred days after the consent, so many days after that: by its exit status, too."""
    began = time.time() - days * 86_400
    registration = {"client_id": "c", "token_url": "https://acme.example/t", "authorize_url": "https://acme.example/a"}
    vendor = OAuth2(name="acme", session_lifetime=100 * 86_400 + 3600, **registration)

    async def consent() -> None:
        async with AuthEngine(FileStore(tmp_path / "store", clock=lambda: began)) as engine:
            await engine.credential(vendor).adopt(access_token="at", refresh_token="rt", expires_at=began + 900)

    asyncio.run(consent())
    ran = here("status", "--store", f"file:{tmp_path / 'store'}")
    assert (ran.status, words in ran.out) == (status, True), ran.out
    assert ran.err == (f"Who has to act: {who}.\n" if who else "")


def test_keep_alive_once(here: Any, vendors: Vendors, store: str) -> None:
    """``keep-alive --once`` makes a round and ends, each time that it is called; the vendor is read from the store."""
    user = [*vendors.options("linkxg-user")[:3], "--store", store]
    here("connect", *user, "--email", vendors.at["linkxg"]["email"], **vendors.secrets("linkxg-user")).well()
    for _ in range(2):
        assert here("keep-alive", *user[1:], "--once").well() == "renewed 0\n"


def test_keep_alive_says_that_it_keeps_nothing(here: Any, vendors: Vendors, store: str) -> None:
    """A registration that nobody connected with keeps nothing alive: the operator hears of it, and it ends at once."""
    ended = here("keep-alive", *vendors.options("linkxg-user")[:3], "--store", store)
    assert ended.status == 1
    assert "no credential in the store is of this registration" in ended.err


def test_nothing_is_logged_out_that_never_was(here: Any, vendors: Vendors, store: str) -> None:
    """Another account, or another registration: it says so, and ends with 1."""
    user = [*vendors.options("linkxg-user")[:3], "--store", store]
    here("connect", *user, "--email", vendors.at["linkxg"]["email"], **vendors.secrets("linkxg-user")).well()
    said = here("logout", *user, "--account", "nobody").err
    assert said.startswith(
        "linkauth: linkxg-user/nobody of this registration is not in the store: `linkauth status` lists"
    )
    assert here("logout", *user, "--account", "nobody").status == 1
    assert here("logout", *user).well() == "Logged out: linkxg-user/default\n"


def test_refresh_renews_now(here: Any, vendors: Vendors, store: str) -> None:
    """Another token than the one that is still good, in the store for the next."""
    how = [*vendors.options("linkxg"), "--store", store]
    secret = vendors.secrets("linkxg")
    first = here("token", *how, "--reveal", **secret).well()
    second = here("refresh", *how, "--reveal", **secret).well()
    assert second != first
    assert here("token", *how, "--reveal", **secret).well() == second
    assert "valid until" in here("refresh", *how, **secret).well()


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["export", "--reveal"],
        ["forget", "--account", "ada"],
        ["reseal"],
        ["logout", "linkxg-user"],
        ["rotate-secret", "--reveal", "--client-id", "c"],
        ["token"],
    ],
    ids=lambda given: given[0],
)
def test_who_only_reads_makes_no_store(here: Any, tmp_path: Path, arguments: list[str]) -> None:
    """A mistyped store is told, and not made; nor is one of its own read, which ends with the command."""
    env = {"LINKAUTH_CLIENT_SECRET": "s"}
    for store in (f"file:{tmp_path / 'nowhere'}", "memory:"):
        ended = here(*arguments, "--store", store, **env)
        assert ended.status == 1
        assert re.search("there is no store|the store holds no credential|is not in the store", ended.err)
    assert not (tmp_path / "nowhere").exists()


def test_no_arguments_are_a_call_for_help(here: Any) -> None:
    """What can be typed, and status 0."""
    said = here().well()
    assert said.startswith("usage: linkauth")
    assert "keep-alive" in said


def test_new_key_encrypts_what_the_others_store(here: Any, vendors: Vendors, store: str, tmp_path: Path) -> None:
    """A key of ``new-key`` in $LINKAUTH_KEYS: nothing readable on disk, a second key may follow, and no key reads nothing."""
    key, newer = (here("new-key").well().strip() for _ in range(2))
    assert len(b64decode(key, validate=True)) == 32
    how = ["token", *vendors.options("linkxg"), "--store", store]
    revealed = here(*how, "--reveal", LINKAUTH_KEYS=key, **vendors.secrets("linkxg")).well().strip()
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert b64encode(b"LA1") in on_disk  # what is sealed begins with it
    both = f"{newer}, {key}"
    assert here(*how, "--reveal", LINKAUTH_KEYS=both, **vendors.secrets("linkxg")).well().strip() == revealed
    unread = here("status", "--store", store)
    assert unread.status == 1
    assert "no keys were given" in unread.out
    assert unread.err.startswith(
        "Who has to act: the operator, for 1 of 1 that cannot be read: `linkauth status` names them"
    )
    assert "$LINKAUTH_KEYS" in unread.err
    alone = here(*how, LINKAUTH_KEYS=newer, **vendors.secrets("linkxg"))
    assert "valid until" in alone.out
    assert newer not in alone.out + alone.err


def test_help_says_where_secrets_belong(here: Any) -> None:
    """Each command has a help text; none shows what is in the environment."""
    for command in (
        "demo",
        "sandbox",
        "connect",
        "status",
        "token",
        "keep-alive",
        "rotate-secret",
        "logout",
        "new-key",
        "import",
        "export",
        "copy",
        "forget",
        "refresh",
    ):
        text = here(command, "--help", LINKAUTH_STORE="redis://:canary@localhost", LINKAUTH_CLIENT_SECRET="canary")
        assert text.status == 0
        assert "canary" not in text.out
    assert "$LINKAUTH_CLIENT_SECRET" in here("token", "--help").out
    assert "http://127.0.0.1:8766/callback" in here("connect", "--help", COLUMNS="200").out


def test_the_version() -> None:
    """``linkauth --version`` says what ``linkauth.__version__`` does."""
    assert run("--version").well() == f"linkauth {linkauth.__version__}\n"
