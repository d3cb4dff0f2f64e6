"""The shipped catalogue: every entry against its vendor's wire as the vendor's own page prints it, and what ``OAuth2.of`` promises."""

from __future__ import annotations

import base64
import math
from datetime import date
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from linkauth import OAuth2
from linkauth.errors import ConfigurationError, InvalidGrant
from linkauth.oauth.grants import NEVER
from linkauth.protocol.keys import token_key, token_keys
from linkauth.testing import play
from linkauth.vendors import Dialect, Pending, catalog
from linkauth.vendors.catalog import ENTRIES
from linkauth.vendors.catalog.entry import HOST, ROOT, entry, varies
from tests.vendors.vendor_answers import SENT_AT, answer
from tests.vendors.wires import BACK, BASIC, BOTH, CODE, ID, RECORDED, SECRET, STATE

PENDING = Pending(redirect_uri=BACK, verifier="canary-verifier", nonce=None)


def of(name, **more):
    return OAuth2.of(name, client_id=ID, client_secret=SECRET, **RECORDED[name].given, **more)


def connected(recorded, vendor):
    """The user's consent, as recorded -> the token, and what the vendor was asked."""
    pending = PENDING if vendor.uses_pkce else attrs.evolve(PENDING, verifier=None)
    return play(vendor.exchange({**recorded.callback, "state": STATE}, pending), answer(recorded.granted))


def sent(request, url, client, fields, *, json=False):
    """``request`` goes to ``url``, has ``fields`` as recorded, shows the client as ``client`` says, and nothing else."""
    assert (request.method, request.url) == ("POST", url)
    has = dict(request.fields)
    assert request.headers["Content-Type"] == ("application/json" if json else "application/x-www-form-urlencoded")
    shown = {"client_id": has.pop("client_id", None), "client_secret": has.pop("client_secret", None)}
    told = request.headers.get("Authorization")
    if client in {BASIC, BOTH}:
        assert shown == {"client_id": ID if client == BOTH else None, "client_secret": None}
        assert told == "Basic " + base64.b64encode(f"{ID}:{SECRET}".encode()).decode()
    else:
        assert (shown, told) == ({"client_id": ID, "client_secret": SECRET}, None)
    assert has == fields


@pytest.mark.parametrize("name", ENTRIES)
def test_the_wire_is_as_the_vendors_page_has_it(name):
    """Page, exchange, renewal and revocation go where the page says, as it says; its answers are read for what they say."""
    recorded, vendor = RECORDED[name], of(name, scope=RECORDED[name].scope)
    if recorded.page is None:
        token, (request,) = play(vendor.renew(None), answer(recorded.granted))
        sent(request, recorded.token, recorded.client, recorded.form)
    else:
        url = urlsplit(vendor.authorization_url(PENDING, state=STATE, challenge="ch-1" if vendor.uses_pkce else None))
        query = {one: texts[0] for one, texts in parse_qs(url.query).items()}
        assert f"{url.scheme}://{url.netloc}{url.path}" == recorded.page
        wanted = {"response_type": "code", "client_id": ID, "redirect_uri": BACK, "state": STATE, **recorded.query}
        if recorded.pkce:
            wanted |= {"code_challenge": "ch-1", "code_challenge_method": "S256"}
        assert {one: query.get(one) for one in wanted} == wanted
        token, (request,) = connected(recorded, vendor)
        standard = {"grant_type": "authorization_code", "code": CODE, "redirect_uri": BACK}
        verifier = {"code_verifier": "canary-verifier"} if recorded.pkce else {}
        fields = {**standard, **verifier, **recorded.form}
        sent(request, recorded.token, recorded.client, fields, json=recorded.json)
    assert {name: token.extra[name] for name in recorded.kept} == recorded.kept
    assert token.access_token == "at-1"
    left = token.expires_at - SENT_AT
    assert left == recorded.lifetime or (math.isinf(recorded.lifetime) and left > 1e9)
    assert token.scope == (recorded.has or recorded.scope)
    assert token.refresh_token == recorded.granted.get("refresh_token")
    lapses = None if recorded.lapses is None else SENT_AT + recorded.lapses
    assert token.refresh_expires_at == lapses
    assert (vendor.header, vendor.signature(token)) == recorded.header
    assert token.session_expires_at == (None if recorded.consent is None else SENT_AT + recorded.consent)
    assert token.endpoint == recorded.api
    assert recorded.api is None or vendor.api(token) == recorded.api
    assert vendor.revoke_url == recorded.revoke


@pytest.mark.parametrize("name", [name for name in ENTRIES if RECORDED[name].renewed is not None])
def test_a_renewal_is_as_the_vendors_page_has_it(name):
    """Where it goes, how the client is shown, and which refresh token is held afterwards."""
    recorded, vendor = RECORDED[name], of(name, scope=RECORDED[name].scope)
    first, _ = connected(recorded, vendor)
    token, (request,) = play(vendor.renew(first), answer(recorded.renewed))
    fields = {"grant_type": "refresh_token", "refresh_token": "rt-1", **recorded.renewal_form}
    sent(request, recorded.renewal or recorded.token, recorded.client, fields, json=recorded.json)
    assert token.access_token == "at-2"
    assert token.refresh_token == ("rt-1" if recorded.stays else "rt-2")
    assert token.expires_at == SENT_AT + (recorded.renewed_lifetime or recorded.lifetime)
    assert vendor.rotation.rotates or recorded.stays or not vendor.rotation.reuse_revokes
    assert (vendor.rotation.replay_window, vendor.rotation.ends_access) == (recorded.window, recorded.ends_access)


@pytest.mark.parametrize(("name", "status", "no"), [(name, *no) for name in RECORDED for no in RECORDED[name].refused])
def test_a_refused_renewal_is_heard(name, status, no):
    """In the vendor's own words: the refresh token is dead, and neither the client nor the network is blamed."""
    recorded, vendor = RECORDED[name], of(name, scope=RECORDED[name].scope)
    first, _ = connected(recorded, vendor)
    with pytest.raises(InvalidGrant):
        play(vendor.renew(first), answer(no, status))


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_where_it_is_from(name):
    """A page by https and the day on which it was read; and its vendor's wire is recorded."""
    one = ENTRIES[name]
    assert one.page.startswith("https://")
    assert date.fromisoformat(one.read) >= date(2026, 11, 30)
    assert name in RECORDED
    assert RECORDED[name].given.keys() >= one.needs


def test_there_are_enough_to_look_here_first():
    """Forty and more; none that nobody recorded who had not seen the entry."""
    assert len(ENTRIES) >= 40
    assert ENTRIES.keys() == RECORDED.keys()
    assert all(RECORDED[name].page_read.startswith("https://") for name in RECORDED)


def test_a_name_that_is_not_there():
    """What may have been meant is told, and no secret."""
    with pytest.raises(ConfigurationError, match="no vendor 'slak' is in the catalogue; close are: slack") as caught:
        OAuth2.of("slak", client_id=ID, client_secret=SECRET)
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"in the catalogue$"):
        OAuth2.of("zzzzzz", client_id=ID, client_secret=SECRET)


def test_every_other_argument_goes_before_the_entrys():
    """Name, URLs, dialect, lifetimes: whoever says it himself knows better."""
    dialect = Dialect(scope_separator=" ")
    more = {"name": "mine", "token_url": "https://proxy.example/token", "lifetime": 60.0, "client_auth": "post"}
    vendor = OAuth2.of("slack", client_id=ID, client_secret=SECRET, dialect=dialect, **more)
    assert {one: getattr(vendor, one) for one in more} == more
    assert (vendor.dialect, vendor.authorize_url) == (dialect, "https://slack.com/oauth/v2/authorize")
    machine = OAuth2.of("microsoft", client_id=ID, client_secret=SECRET, tenant="acme", authorize_url=None)
    assert (machine.needs_user, machine.token_url.split("/")[3]) == (False, "acme")


def test_equal_arguments_are_one_vendor():
    """So that two workers share a session, and an engine one credential."""
    assert (of("shopify"), hash(of("shopify"))) == (of("shopify"), hash(of("shopify")))
    assert of("shopify") != OAuth2.of("shopify", client_id=ID, client_secret=SECRET, shop="another")


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        *((None, text) for text in ("", "a.b", "a/b", "evil.example/x", "a#", "a?b", "a:1", "-a", "a b", "a\n", "å", "x" * 64)),
        *((HOST, text) for text in ("", "localhost", "a.b/c", "a.b:80", "u@a.example", "a..b", ".a.b", "a.b?", "a.123", "å.example")),
        *((ROOT, text) for text in ("", "http://a.example", "https://u@a.example", "https://a.example?x", "a.example")),
        *((kind, wrong) for kind in (None, HOST, ROOT) for wrong in (None, 5, ["a"])),
    ],
    ids=str,
)  # fmt: skip
def test_what_varies_decides_nothing_else(kind, wrong):
    """A tenant's name comes from users: what could send the secret to another host is no name."""
    one = varies("the shop") if kind is None else varies("the shop", kind)
    shop = entry("https://p", "2026-11-30", per_tenant={"shop": one}, token_url="https://{shop}.example.com/t")
    with pytest.raises(ConfigurationError):
        shop.registration("acme", {"shop": wrong})


def test_what_varies_is_one_of_a_few():
    """Where a vendor has so many data centres and no more."""
    one = entry(
        "https://p", "2026-11-30", per_tenant={"zone": varies("the zone", "label", "com", "eu", default="com")},
        token_url="https://a.example.{zone}/t", extra={"zone": "{zone}"},
    )  # fmt: skip
    assert one.registration("acme", {})["token_url"] == "https://a.example.com/t"
    assert one.registration("acme", {"zone": "eu"})["extra"] == {"zone": "eu"}
    with pytest.raises(ConfigurationError, match="acme: zone= is the zone: one of com, eu"):
        one.registration("acme", {"zone": "cn"})
    with pytest.raises(ConfigurationError, match="shopify: shop= is the shop's name"):
        OAuth2.of("shopify", client_id=ID, client_secret=SECRET)


def test_sessions_stored_under_a_corrected_url_are_found(monkeypatch):
    """A release that corrects an entry keeps what it said before beside it: the key of the last release is looked under, too."""
    old = entry("https://p", "2026-11-30", authorize_url="https://old.example/a", token_url="https://old.example/t")
    new = entry(
        "https://p", "2027-01-01", authorize_url="https://new.example/a", token_url="https://new.example/t",
        authorize_extra={"access_type": "offline"},
        former=({"authorize_url": "https://old.example/a", "token_url": "https://old.example/t", "authorize_extra": {}},),
    )  # fmt: skip
    made = []
    for one in (old, new):
        monkeypatch.setattr(catalog, "ENTRIES", {"acme": one})
        made.append(OAuth2.of("acme", client_id=ID, client_secret=SECRET, scope="read"))
    assert token_key(made[0], "ada") != token_key(made[1], "ada")
    assert token_key(made[0], "ada") in token_keys(made[1], "ada")
    assert made[1] == attrs.evolve(made[1], former=())
    own = OAuth2.of("acme", client_id=ID, client_secret=SECRET, token_url="https://own.example/t")
    assert not [key for key in token_keys(own, "ada") if key in token_keys(made[0], "ada")], (
        "a URL of the caller's own has no past"
    )


def test_a_secret_stays_masked_where_an_argument_is_wrong():
    """The frames of the traceback, the catalogue's among them, have the secret as a secret."""
    with pytest.raises(TypeError) as caught:
        OAuth2.of("slack", client_id=ID, client_secret=SECRET, shop="x")
    frame = caught.tb
    while frame is not None:
        inside = "/linkauth/" in frame.tb_frame.f_code.co_filename
        assert not inside or SECRET not in repr(frame.tb_frame.f_locals)
        frame = frame.tb_next


@pytest.mark.parametrize(
    "former", [3, "token_url", [None], [{"client_secret": "s"}], [{"name": "x"}], [{"token_url": "x"}]], ids=str
)
def test_what_a_registration_cannot_have_been(former):
    """What is no list of earlier arguments, or cannot be made, is told when the vendor is made."""
    with pytest.raises(ConfigurationError):
        OAuth2(name="v", client_id="c", client_secret="s", token_url="https://a.example.com/t", former=former)


@pytest.mark.parametrize("name", ["shopify", "slack", "github", "zendesk"])
def test_a_token_that_does_not_expire_of_a_vendor_whose_tokens_may(name):
    """As an app's settings have it, or as it was asked for: an answer that states no lifetime is a token for ever."""
    vendor = of(name)
    token, _ = play(vendor.exchange({"code": CODE}, PENDING), answer({"access_token": "at-1", "token_type": "bearer"}))
    assert (token.expires_at, token.refresh_token) == (NEVER, None)


def test_what_an_apps_settings_decide():
    """A refresh token may be good for one use, as a pool, a realm or an app has it: it is taken to be."""
    assert all(of(name).rotation.rotates for name in ("cognito", "keycloak", "okta", "salesforce"))


@pytest.mark.parametrize("name", ["amazon-selling-partner", "asana", "heroku", "pipedrive"])
def test_whose_renewals_leave_the_refresh_token(name):
    """Their pages say that it stays or print it again: a renewal whose answer was lost may be sent once more."""
    assert not of(name).rotation.rotates


def test_whose_renewals_end_the_access_token():
    """Those whose pages say so, or whose source (Nextcloud's); they rotate, too."""
    profiles = {name: of(name).rotation for name in ENTRIES}
    ending = {name for name, profile in profiles.items() if profile.ends_access}
    assert ending == {"digitalocean", "github", "gitlab", "nextcloud", "zendesk"}
    assert all(profiles[name].rotates for name in ending)
