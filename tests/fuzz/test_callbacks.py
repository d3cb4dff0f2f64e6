"""What comes to ``connect_app`` over the wire: any method, path, header, cookie and body gets a page, never a crash."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlencode, urljoin, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from yarl import URL

from linkauth.web.start import Start
from tests.oauth.test_fuzz import params, text, values
from tests.web.conftest import Site, ada, engine, new_visitor, sandbox, site  # noqa: F401  # fixtures
from tests.web.frameworks import Aiohttp

if TYPE_CHECKING:
    from tests.web.conftest import Visitor


@pytest.fixture
def framework():
    return Aiohttp()


TIMES = 40 * int(os.environ.get("LINKAUTH_FUZZ", "1"))
MARK = "<b>mark"

pairs = st.lists(
    st.tuples(
        st.sampled_from(["state", "code", "error", "authorizationCode", "endpoint", "tenant", "next", MARK]),
        text | st.sampled_from([MARK, "acme", "/x", "//x"]),
    ),
    max_size=4,
)
bodies = st.one_of(
    st.binary(max_size=60),
    pairs.map(lambda found: urlencode(found, errors="surrogatepass").encode()),
    (params | values).map(lambda value: json.dumps(value).encode()),
    params.map(lambda value: gzip.compress(json.dumps(value).encode())),
)
kinds = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=nonsense",
        "multipart/form-data; boundary=x",
        "text/html",
        ";",
    ]
)
headers = st.lists(
    st.sampled_from(["Cookie", "Host", "Content-Encoding", "X-Forwarded-Host", "Accept", "Range"]).flatmap(
        lambda name: st.tuples(
            st.just(name),
            st.sampled_from([b"gzip", b"deflate", b"br", b"identity", b'who="a\\";b=', b"evil.example"])
            | st.binary(max_size=30),
        )
    ),
    max_size=3,
)
targets = st.one_of(
    st.builds(
        lambda vendor, end, query: f"/connect/{vendor}{end}?{query}".encode(),
        st.sampled_from(["linkkit", "sagex3", "tenants", "nobody", "%00", "..", "%2e%2e", "a" * 3000]),
        st.sampled_from(["/callback", "", "/callback/"]),
        pairs.map(lambda found: urlencode(found, errors="surrogatepass"))
        | text.map(lambda t: quote(t, errors="replace")),
    ),
    st.binary(max_size=30).map(
        lambda raw: b"/connect/linkkit/callback?" + bytes(c for c in raw if c > 32 and c != 127)
    ),
)


async def asked(where: Site, method: str, target: bytes, head: list[tuple[str, bytes]], body: bytes) -> bytes:
    """The whole answer to a request written by hand."""
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Connection: close"]
    lines += [name.encode() + b": " + value.translate(None, b"\r\n\0") for name, value in head]
    lines += [b"Content-Length: %d" % len(body), b"", body]
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(where.url).port)
    try:
        writer.write(b"\r\n".join(lines))
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:  # a request that is none: the server has gone before it was all sent
        return b""
    finally:
        writer.close()


@pytest.mark.blocking
@settings(
    max_examples=TIMES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    method=st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT"]),
    target=targets,
    kind=kinds,
    head=headers,
    body=bodies,
)
@example(
    method="POST",
    target=b"/connect/sagex3/callback",
    kind="application/json",
    head=[],
    body=b'{"state":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
)
@example(
    method="POST",
    target=b"/connect/sagex3/callback",
    kind="application/json",
    head=[],
    body=b'{"state":' + b"9" * 60_000 + b"}",
)
@example(
    method="POST",
    target=b"/connect/sagex3/callback",
    kind="application/json",
    head=[],
    body=b'{"state":"\\ud800","code":"\\ud800"}',
)
@example(
    method="POST",
    target=b"/connect/sagex3/callback",
    kind="application/json",
    head=[("Content-Encoding", b"deflate")],
    body=b"not packed",
)
async def test_any_request_gets_a_page(site: Site, method, target, kind, head, body):  # noqa: F811  # a fixture
    """Nothing that comes in makes the app fail, and nothing of it is repeated unescaped."""
    if not site.served:
        tenants = {"acme": site.sagex3}
        await site.serve(words={"linkkit": site.linkkit, "sagex3": site.sagex3, "tenants": tenants.get})
    answer = await asked(site, method, target, [("Host", b"localhost"), ("Content-Type", kind.encode()), *head], body)
    assert b"Server got itself in trouble" not in answer
    assert b"500 Internal" not in answer
    assert MARK.encode() not in answer
    assert site.sandbox.linkkit.client_secret.encode() not in answer


@settings(max_examples=TIMES * 20, deadline=None)
@given(path=st.text(st.sampled_from("/\\.@:?#%2Fe\t\n \x00\u00e9\u2028a"), max_size=12) | text)
@example(path="/\t/evil.example")
@example(path="/%09/evil.example")
@example(path="/\u2028/evil.example")
def test_next_never_leaves_the_apps_origin(path: str) -> None:
    """Whatever is asked for: nowhere, or a path that every reader resolves at the app's own origin, in one header line."""
    location = Start("linkkit", "", path).location
    if location:
        assert location.isascii()
        assert location.isprintable()
        assert " " not in location
        base = "https://app.example.com/connect/linkkit/callback?state=s"
        read = [urljoin(base, location), str(URL(base).join(URL(location, encoded=True)))]
        assert all(each.startswith("https://app.example.com/") for each in read)


@pytest.mark.blocking
@settings(
    max_examples=TIMES // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(more=params)
async def test_any_callback_with_a_good_state_gets_a_page(site: Site, ada: Visitor, more):  # noqa: F811  # fixtures
    """With a state that is good, whatever stands beside it: a page, and a vendor that sees at most one request."""
    if not site.served:
        await site.serve()
        await ada.sign_in("ada")
    before = site.sandbox.sagex3.counts["token_requests"]
    (state,) = parse_qs(urlsplit(await ada.begin("sagex3")).query)["state"]
    body = json.dumps({**more, "state": state}).encode()
    head = [("Host", b"localhost"), ("Content-Type", b"application/json")]
    answer = await asked(site, "POST", b"/connect/sagex3/callback", head, body)
    assert b"Server got itself in trouble" not in answer
    assert b"<h1>" in answer
    assert site.sandbox.sagex3.counts["token_requests"] <= before + 1
    assert site.sandbox.elsewhere.counts["requests"] == 0
