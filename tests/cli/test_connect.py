"""``linkauth connect`` from beginning to end: the consent pages are followed as a browser would."""

from __future__ import annotations

import re
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from linkauth.cli.browser import is_here
from tests.cli import browser
from tests.cli.conftest import Command, control
from tests.loopback import closed_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking


@contextmanager
def connecting(vendors: Vendors, vendor: str, store: str, *more: str, **env: str) -> Iterator[tuple[Command, str]]:
    """``linkauth connect`` as a process, and the page that it asks to open."""
    back = ["--redirect-uri", f"http://127.0.0.1:{closed_port()}/back"]
    arguments = [*vendors.options(vendor), "--store", store, *back, *more]
    with Command("connect", *arguments, **vendors.secrets(vendor), **env) as command:
        url = command.until("http").strip()
        command.until("Waiting")
        yield command, url


def test_a_linkxg_user_logs_in_by_the_environments_password(here: Any, vendors: Vendors, store: str) -> None:
    """From then on the session serves without the password, which is nowhere in the output."""
    how = [*vendors.options("linkxg-user"), "--store", store]
    assert here("connect", *how, **vendors.secrets("linkxg-user")).well() == "Connected: linkxg-user/default\n"
    without_email = [*vendors.options("linkxg-user")[:3], "--store", store]
    assert "valid until" in here("token", *without_email).well()


def test_a_wrong_password(here: Any, vendors: Vendors, store: str) -> None:
    """The user has to act, and the password is not repeated."""
    how = [*vendors.options("linkxg-user"), "--store", store]
    said = here("connect", *how, LINKAUTH_PASSWORD="canary").badly("Who has to act: the user.")
    assert "canary" not in said


def test_linkxg_needs_nobody(here: Any, vendors: Vendors, store: str) -> None:
    """``connect`` of client credentials fetches the first token."""
    how = [*vendors.options("linkxg"), "--store", store]
    assert here("connect", *how, **vendors.secrets("linkxg")).well() == "Connected: linkxg/default\n"


@pytest.mark.parametrize("vendor", ["linkkit", "sagex3", "oauth2"])
def test_a_user_accepts_in_the_browser(here: Any, vendors: Vendors, store: str, vendor: str) -> None:
    """GET callback (linkkit, oauth2) or form POST (sagex3) on loopback; then ``token`` and ``status`` know the account."""
    with connecting(vendors, vendor, store, "--account", "ada") as (command, url):
        landed = browser.answer(url)
        ended = command.end()
    assert landed.status == 200
    titled = {"linkkit": "Linkkit", "sagex3": "Sage X3"}.get(vendor, vendor)
    assert f"<title>Connected to {titled}</title>" in landed.text
    out = ended.well()
    assert f"Connected: {vendor}/ada" in out
    assert not [secret for secret in vendors.every_secret if secret in out]
    how = [*vendors.options(vendor), "--store", store, "--account", "ada"]
    assert "valid until" in here("token", *how, **vendors.secrets(vendor)).well()
    assert f"{vendor}/ada" in here("status", "--store", store).well()
    here("token", *how[:-1], "grace", **vendors.secrets(vendor)).badly("Who has to act: the user")


@pytest.mark.parametrize(("vendor", "answer"), [("linkkit", "refuse"), ("sagex3", "reject"), ("oauth2", "refuse")])
def test_a_user_refuses(vendors: Vendors, store: str, vendor: str, answer: str) -> None:
    """The page and the terminal say so; status 1, the user has to act. No browser opens where none is wanted."""
    with connecting(vendors, vendor, store, "--no-browser", DISPLAY=":0") as (command, url):
        landed = browser.answer(url, answer)
        said = command.end().badly("access_denied", "Who has to act: the user.")
    assert "Open this page in a browser:" in command.out  # and not: it opens
    assert "refused" in landed.text
    assert "Try again" not in landed.text
    assert not [secret for secret in vendors.every_secret if secret in said]


def test_a_vendor_that_is_asked_too_often_does_not_end_the_waiting(own: Vendors, store: str) -> None:
    """429 for the code: the page says that it may be tried again, and the same callback then completes."""
    control(own, {"linkkit": {"faults": [{"endpoint": "token", "status": 429, "retry_after": 60}]}})
    with connecting(own, "linkkit", store) as (command, url):
        landed = browser.answer(url)
        assert landed.status != 200
        assert browser.get(landed.url).status == 200
        ended = command.end()
    assert ended.status == 0
    assert ended.err.count("A callback that changes nothing") == 1


def test_nonsense_at_the_port_does_not_end_the_waiting(vendors: Vendors, store: str) -> None:
    """A forged state, no state, another path, a POST where GET is due: none of them is told more than it knew."""
    with connecting(vendors, "linkkit", store) as (command, url):
        back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        assert browser.get(f"{back}?state=forged&code=x").status == 400
        assert browser.get(back).status == 400
        assert browser.get(f"{back}/elsewhere").status == 404
        landed = browser.answer(url)
        assert landed.status == 200
        ended = command.end()
    assert ended.status == 0
    assert ended.err.count("A callback that changes nothing") == 2
    assert "forged" not in ended.err


def test_a_port_in_use(here: Any, vendors: Vendors, store: str) -> None:
    """It is told before anybody is sent anywhere."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        how = [*vendors.options("linkkit"), "--store", store, "--redirect-uri", f"http://127.0.0.1:{port}/back"]
        ended = here("connect", *how, **vendors.secrets("linkkit"))
    ended.badly(f"cannot listen on 127.0.0.1:{port}: Address already in use", "--port", "Who has to act: you.")
    assert ended.out == ""


def test_behind_a_proxy(here: Any, vendors: Vendors, store: str) -> None:
    """--listen takes the callback of a redirect URI that is elsewhere; without it Sage X3's POST could not arrive."""
    how = [*vendors.options("sagex3"), "--store", store, "--redirect-uri", "https://app.example.com/back"]
    said = here("connect", *how, **vendors.secrets("sagex3"))
    said.badly("sagex3 answers by POST", "--listen")
    port = closed_port()
    with Command("connect", *how, "--listen", str(port), **vendors.secrets("sagex3")) as command:
        command.until("Waiting")
        landed = browser.get(f"http://127.0.0.1:{port}/back?state=forged")
        assert landed.status == 400
        assert command.end(signal.SIGTERM).status == 143


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_it_waits(vendors: Vendors, store: str, number: int, status: int) -> None:
    """No traceback, no word, the conventional exit status, and the port is free again."""
    with connecting(vendors, "linkkit", store) as (command, url):
        ended = command.end(number)
    assert (ended.status, ended.err) == (status, "")
    port = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0]).port
    with socket.create_server(("127.0.0.1", port or 0)):
        pass


def test_a_browser_is_opened(here: Any, vendors: Vendors, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is a display; the user answers there, at the port that was chosen. The page is printed in any case."""
    opened: list[str] = []

    def be_the_user(url: str) -> bool:
        opened.append(url)
        return browser.answer(url).status == 200

    monkeypatch.setattr("webbrowser.open", be_the_user)
    port = closed_port()
    how = [*vendors.options("linkkit"), "--store", store, "--port", str(port)]
    ended = here("connect", *how, DISPLAY=":0", **vendors.secrets("linkkit"))
    assert "Connected: linkkit/default" in ended.well()
    assert opened == [re.findall(r"http\S+", ended.out)[0]]
    assert parse_qs(urlsplit(opened[0]).query)["redirect_uri"] == [f"http://127.0.0.1:{port}/callback"]


@pytest.mark.parametrize(
    ("env", "here"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}, False),
        ({"DISPLAY": ":0", "SSH_TTY": "/dev/pts/0"}, False),
        ({}, False),
    ],
)
def test_where_a_browser_is_seen(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], *, here: bool) -> None:
    """With a display, at this machine."""
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert is_here() == here


@pytest.mark.parametrize(
    ("vendor", "options", "words"),
    [
        ("sagex3", ["--paste"], "sagex3 answers by POST, which cannot be pasted"),
        ("linkkit", ["--paste"], "nobody is there to be asked"),
        ("linkkit", ["--redirect-uri", "https://app.example/back"], "nobody is there to be asked"),
        ("linkkit", ["--redirect-uri", "https://app.example/back", "--port", "9000"], "--listen takes what"),
    ],
)
def test_no_answer_could_come(
    here: Any, vendors: Vendors, store: str, vendor: str, options: list[str], words: str
) -> None:
    """It is told, and not waited for."""
    here("connect", *vendors.options(vendor), "--store", store, *options, **vendors.secrets(vendor)).badly(words)
    assert here("connect", "linkkit", "--port", "99999").status == 2
