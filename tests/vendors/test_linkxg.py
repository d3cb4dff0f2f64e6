"""LinkXG's client: rotation of its secret, whose answer nobody documents."""

from __future__ import annotations

import attrs
import pytest

from linkauth.errors import InvalidClient, MalformedResponse, VendorUnavailable
from linkauth.oauth.token import Secret
from linkauth.oauth.url import origin
from linkauth.testing import play
from tests.vendors.vendor_answers import CURRENT, LINKXG, answer


@pytest.mark.parametrize("name", ["client_secret", "clientSecret", "secret"])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: {"success": True, "data": m}], ids=["flat", "in data"])
def test_the_new_secret_is_found(name, wrap):
    """Under each of three names, at the top or inside ``data``."""
    secret, _ = play(LINKXG.rotate_secret(CURRENT), answer(wrap({"client_id": "the-client", name: "new"})))
    assert secret == Secret("new")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>done</html>", b"[]", b'{"data": "new"}', b'{"secret": 5}', b'{"secret": ""}', b'{"secret": "a\\nb"}'],
    ids=str,
)
def test_a_secret_that_is_not_found_is_not_lost(body):
    """The old secret is dead: the whole answer goes to the operator, as a Secret."""
    with pytest.raises(MalformedResponse) as caught:
        play(LINKXG.rotate_secret(CURRENT), answer(body))
    assert caught.value.raw == Secret(body.decode())
    assert "canary" not in str(caught.value)


def test_a_rotation_that_is_refused():
    """A refusal is a refusal: there is no new secret to look for."""
    with pytest.raises(InvalidClient):
        play(LINKXG.rotate_secret(CURRENT), answer({"error": "invalid_client"}, 401))
    with pytest.raises(VendorUnavailable):
        play(LINKXG.rotate_secret(CURRENT), answer(b"", 503))


def test_the_client_id_stays_one_segment_of_the_path():
    """A client id is the vendor's choice: slashes and queries in it reach no other URL."""
    odd = attrs.evolve(LINKXG, client_id="a/../b?c#d")
    assert next(odd.rotate_secret(CURRENT)).url.endswith("/oauth/clients/a%2F..%2Fb%3Fc%23d/rotate")


def test_a_newer_secret_changes_no_identity():
    """``with_secret`` is used by the next request, and the credential stays the same one."""
    newer = LINKXG.with_secret(Secret("newer"))
    assert b"client_secret=newer" in next(newer.renew(None)).body
    assert (newer.identity(), newer.registration()) == (LINKXG.identity(), LINKXG.registration())
    assert b"client_secret=canary-secret" in next(LINKXG.renew(None)).body


def test_how_its_api_is_called():
    """With the token in ``Authorization``, at its own origin alone, and 401 says that it has expired."""
    assert (LINKXG.header, LINKXG.signature(CURRENT)) == ("Authorization", "Bearer canary-access")
    assert LINKXG.expired_statuses == (401,)
    scheme, host, port = origin(LINKXG.api(CURRENT))
    assert LINKXG.may_serve((scheme, host, port))
    assert not LINKXG.may_serve((scheme, f"evil.{host}", port))
