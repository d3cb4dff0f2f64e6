"""``linkauth connect`` where the browser is on another machine: the address at which it arrives is pasted into the terminal."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli import browser
from tests.cli.terminal import Terminal
from tests.loopback import closed_port

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking

SSH = {"SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}


def test_an_address_is_pasted_over_ssh(here: Any, vendors: Vendors, store: str) -> None:
    """What is no answer is told, and asked again; of the right address the query counts alone, and its code is not to be seen.

    That the port is taken here does no harm.
    """
    how = [*vendors.options("linkkit"), "--store", store]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        back = f"http://127.0.0.1:{taken.getsockname()[1]}/back"
        terminal = Terminal("connect", *how, "--redirect-uri", back, **vendors.secrets("linkkit"), **SSH)
        url = terminal.page()
    assert "Address already in use" in terminal.seen
    prompt = "Paste it here (it is not shown): "
    for pasted, told in (
        ("http://[", "copy the whole address"),
        ("https://app.example/?state=a&state=b", "copy the whole address"),
        (f"{back}?state=forged&code=x", "the state is unknown"),
        (url, "changes nothing"),
    ):
        terminal.seen = ""
        terminal.type(f"{pasted}\n")
        terminal.until(told)
        terminal.until(prompt)
    arrived = browser.arrival(url)
    terminal.type(f"  https://elsewhere.example/other?{urlsplit(arrived).query}\r")
    assert terminal.end() == 0, terminal.seen
    assert "Connected: linkkit/default" in terminal.seen
    assert parse_qs(urlsplit(arrived).query)["code"][0] not in terminal.seen
    assert "valid until" in here("token", *how, **vendors.secrets("linkkit")).well()


def test_the_listener_goes_on_beside_it(vendors: Vendors, store: str) -> None:
    """A browser that does arrive here ends the question, and the terminal echoes again."""
    back = f"http://127.0.0.1:{closed_port()}/back"
    how = [*vendors.options("linkkit"), "--store", store, "--redirect-uri", back, "--paste"]
    terminal = Terminal("connect", *how, **vendors.secrets("linkkit"))
    page = terminal.page()
    terminal.until("Paste it here")
    assert not terminal.echoes()
    assert browser.answer(page).status == 200
    terminal.until("Connected: linkkit/default")
    assert terminal.echoes()
    assert terminal.end() == 0
