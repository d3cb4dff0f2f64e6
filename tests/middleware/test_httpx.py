"""What httpx and httpx2 have of their own: two ways to sign, bodies, the caller's own auth, and the answers to each hop."""

from __future__ import annotations

import io

import pytest

from linkauth import Dialect, OAuth2
from linkauth.blocking import Credential as Blocking
from linkauth.errors import ConfigurationError
from tests.middleware.clients import Httpx
from tests.middleware.clients import Session as Wrapped
from tests.middleware.site import get

pytestmark = pytest.mark.long

OURS = ["httpx", "httpx2"]


@pytest.fixture(params=OURS)
def client(request):
    return Httpx(request.param)


def _files(read):
    return {"files": {"file": ("f.txt", read)}, "data": {"a": "1"}}


class Pipe(io.BytesIO):
    """What has no beginning to go back to."""

    def seekable(self):
        return False

    def seek(self, *_):
        raise io.UnsupportedOperation


BODIES = {
    "nothing": dict,
    "bytes": lambda: {"content": b"fifty"},
    "str": lambda: {"content": "fünfzig"},
    "json": lambda: {"json": {"a": [1, 2]}},
    "form": lambda: {"data": {"a": "12345"}},
    "multipart": lambda: _files(io.BytesIO(b"from a file")),
}


@pytest.mark.parametrize("how", ["client", "Auth", "blocking"])
@pytest.mark.parametrize("kind", BODIES)
async def test_a_body_that_can_be_sent_again_is_sent_again(client, credential, site, kind, how):
    """The repeat carries the same body, whole, also after a redirect that keeps the method."""
    async with _session(client, credential, how) as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", **BODIES[kind]()) as answer:
            assert answer.status == 200
        site.revoke()
        async with session.post("c?status=307&to=/v1/d", **BODIES[kind]()) as answer:
            assert answer.status == 200
    assert site.seen[1][3] == site.seen[2][3]
    assert len({body for _, path, _, body in site.seen if path[:5] in {"/v1/c", "/v1/d"}}) == 1


def _session(client, credential, how):
    url = {"base_url": f"{credential.vendor.api(None)}/", "follow_redirects": True}
    if how == "client":
        return client.session(credential)
    if how == "Auth":
        return Wrapped(client.theirs.AsyncClient(auth=client.ours.Auth(credential), **url))
    return Wrapped(client.theirs.Client(auth=client.ours.Auth(Blocking(credential)), **url), in_thread=True)


@pytest.mark.parametrize("how", ["client", "Auth", "blocking"])
async def test_a_file_that_cannot_be_read_again_is_not_sent_again(client, credential, site, how):
    """A part of a multipart body comes out of a pipe: the 401 is the caller's, and the next request has a new token."""
    async with _session(client, credential, how) as session:
        await get(session, "a")
        site.revoke()
        async with session.post("b", **_files(Pipe(b"once"))) as answer:
            assert answer.status == 401
        assert site.counts == {"token": 2, "api": 2}
        assert await get(session, "c") == 200
    assert site.counts["token"] == 2


async def test_the_callers_own_auth_is_the_callers_will(client, credential, site, other):
    """``auth=`` of one request is used as httpx uses it, not shown elsewhere either; None signs nothing."""
    async with client.ours.client(credential, follow_redirects=True) as session:
        assert (
            await session.get("a", auth=("u", "p"), params={"status": "302", "to": f"{other.url}/b"})
        ).status_code == 401
        assert (await session.get("a", auth=None)).status_code == 401
    assert site.signed() == ["Basic dTpw", None]
    assert other.signed() == [None]
    assert site.counts["token"] == 0


async def test_the_callers_own_header_goes_where_httpx_takes_it(client, credential, site, other):
    """Kept within the origin, taken off at another, and never replaced by the token."""
    async with client.ours.client(credential, follow_redirects=True) as session:
        mine = {"headers": {"Authorization": "Bearer mine"}}
        await session.get("a?status=302&to=/v1/b", **mine)
        await session.get("a", params={"status": "302", "to": f"{other.url}/b"}, **mine)
    assert site.signed() == ["Bearer mine"] * 3
    assert other.signed() == [None]


async def test_a_401_of_another_origin_renews_nothing(client, credential, site, other):
    """The vendor sends the request elsewhere, and there it is refused: that says nothing of the token."""
    url = {"base_url": f"{site.url}/v1/", "follow_redirects": True}
    async with (
        client.theirs.AsyncClient(auth=client.ours.Auth(credential), **url) as plain,
        client.ours.client(credential, **url) as ours,
    ):
        for session in (plain, ours):
            assert (await session.get("a", params={"status": "302", "to": f"{other.url}/b"})).status_code == 401
    assert site.counts == {"token": 1, "api": 2}
    assert other.counts == {"api": 2}


async def test_redirects_are_told_as_httpx_tells_them(client, credential, site):
    """Followed where the caller says so, each in ``history``; too many are httpx's own error; a stream is left to be read."""
    url = f"{site.url}/v1/a?status=302&to=/v1/b"
    async with client.ours.client(credential) as session:
        answer = await session.get(url)
        assert (answer.status_code, answer.history, answer.next_request.url.path) == (302, [], "/v1/b")
        answer = await session.get(url, follow_redirects=True)
        assert (answer.status_code, [each.status_code for each in answer.history]) == (200, [302])
        async with session.stream("GET", url, follow_redirects=True) as answer:
            assert not answer.is_closed
            assert await answer.aread() == b'{"ok": true}'
    async with client.ours.client(credential, follow_redirects=True, max_redirects=0) as session:
        with pytest.raises(client.theirs.TooManyRedirects):
            await session.get(url)
    async with client.ours.client(credential, follow_redirects=True) as session:
        site.revoke()
        answer = await session.get(url)
        assert [each.status_code for each in answer.history] == [302, 401]


async def test_what_cannot_work_is_refused(client, engine, credential, site):
    """A header that httpx would take to other origins, two auths, and a credential of the other kind of client."""
    shopify = OAuth2(
        name="v", client_id="c", client_secret="s", token_url=f"{site.url}/t", dialect=Dialect(header="X-Token")
    )
    for one in (engine.credential(shopify), Blocking(engine.credential(shopify))):
        with pytest.raises(ConfigurationError, match="X-Token"):
            client.ours.Auth(one)
    with pytest.raises(ConfigurationError, match="auth"):
        client.ours.client(credential, auth=("u", "p"))
    async with client.theirs.AsyncClient(auth=client.ours.Auth(Blocking(credential))) as session:
        with pytest.raises(ConfigurationError, match="block"):
            await session.get(f"{site.url}/v1/a")
    with client.theirs.Client(auth=client.ours.Auth(credential)) as session:
        with pytest.raises(ConfigurationError, match=r"linkauth\.blocking"):
            session.get(f"{site.url}/v1/a")
    assert site.counts == {}


async def test_nothing_of_a_token_is_shown(client, credential):
    """The repr of an Auth names the credential alone."""
    token = await credential.token()
    assert repr(client.ours.Auth(credential)).endswith("<Credential linkxg/default>>")
    assert token.access_token not in repr(client.ours.Auth(credential))
