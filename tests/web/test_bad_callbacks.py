"""Callbacks that no vendor sends: what cannot be read is refused, and nothing is changed by it."""

from __future__ import annotations

import asyncio
import gzip
import json
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Site, Visitor
from tests.web.pages import is_plain_and_accessible


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"a=1&a=2", 400),
        ("application/x-www-form-urlencoded", b"a=%FF&b=\xff", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(65)), 400),
        ("application/x-www-form-urlencoded", b"state=" + b"x" * 65536, 413),
        ("application/json", b'{"state": "a", "state": "a"}', 400),
        ("application/json", b'{"state": "a", "x": {"y": 1, "y": 2}}', 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"state": 3, "authorizationCode": []}', 400),
        ("application/json", b'{"state": null}', 400),
        ("application/json", b"[" * 60000, 400),
        ("application/json", b'"' + b"x" * 70000 + b'"', 413),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"state=x", 415),
        ("", b"", 415),
    ],
)
async def test_body_that_is_no_callback(site: Site, ada: Visitor, kind: str, body: bytes, status: int) -> None:
    """Whatever is posted, the answer is a page with the fitting status."""
    await site.serve()
    headers = {"Content-Type": kind} if kind else {}
    skip = [] if kind else ["Content-Type"]
    page = await ada.ask("POST", "/sagex3/callback", data=body, headers=headers, skip_auto_headers=skip)
    assert page.status == status
    is_plain_and_accessible(page)


async def test_json_that_says_something_twice(site: Site, ada: Visitor) -> None:
    """RFC 6749 §3.1 holds for JSON too: which of two codes is meant nobody can say. The state stays good."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    body = json.dumps(callback.params)
    headers = {"Content-Type": "application/json"}
    twice = body.replace("{", '{"authorizationCode": "injected", ', 1)
    page = await ada.ask("POST", callback.redirect_uri, data=twice, headers=headers)
    assert (page.status, "twice" in page.text) == (400, True)
    assert (await ada.ask("POST", callback.redirect_uri, data=body, headers=headers)).status == 200


async def test_query_that_says_something_twice(site: Site, ada: Visitor) -> None:
    """RFC 6749 §3.1: parameters come once. The state of such a callback stays good."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    assert (await ada.get(f"{callback}&code=other")).status == 400
    assert (await ada.get(callback)).status == 200


async def test_packed_bomb(site: Site, ada: Visitor) -> None:
    """What is small on the wire and large when unpacked is cut off like any other."""
    await site.serve()
    packed = gzip.compress(b"state=" + b"x" * 5_000_000)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    page = await ada.ask("POST", "/sagex3/callback", data=packed, headers=headers)
    assert page.status == (413 if site.framework.unpacks else 400)


async def test_body_that_is_not_packed_as_said(site: Site, ada: Visitor) -> None:
    """A body that cannot be unpacked is a bad request."""
    await site.serve()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    page = await ada.ask("POST", "/sagex3/callback", data=b"not gzip at all", headers=headers)
    assert page.status == 400


async def test_body_that_never_comes(site: Site, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is waited for, but not for ever."""
    monkeypatch.setattr("linkauth.web.callback.PATIENCE", 0.05)
    await site.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(site.url).port)
    head = "POST /connect/sagex3/callback HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    assert (await reader.readline()).split()[1] == b"408"
    writer.close()
    await writer.wait_closed()
