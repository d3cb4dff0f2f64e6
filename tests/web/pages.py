"""What is looked at in a page, and in a URL that leads to one."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tests.web.conftest import Page


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def is_plain_and_accessible(page: Page) -> None:
    """The promise that every page keeps: usable by anyone, nothing from elsewhere, stored nowhere."""
    tags = [tag for tag, _ in page.tags]
    assert page.source.startswith("<!doctype html>")
    assert page.tags[0] == ("html", {"lang": "en"})
    assert [tags.count(tag) for tag in ("title", "main", "h1")] == [1, 1, 1]
    assert not {"script", "img", "iframe", "link", "form", "object"} & set(tags)
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
