"""What vendors' pages print of their wire: requests as their examples send them, and the answers to these.

Written from the examples that a page prints, not from what the catalogue says; where a page prints no answer, it is RFC 6749's.
``ID``, ``SECRET``, ``CODE``, ``BACK`` and ``STATE`` stand for what a page has in their places; tokens are shortened.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

ID, SECRET, CODE, BACK, STATE = "the-client", "canary-secret", "canary-code", "https://app.example.com/callback", "st-1"
BASIC = "basic"
"""The client shows its id and secret by HTTP Basic, and not in the body."""
BODY = "body"
"""In the body, and not by HTTP Basic."""
BOTH = "both"
"""By HTTP Basic, and the id in the body, too."""


@attrs.frozen(kw_only=True)
class Recorded:
    """One vendor's wire."""

    given: dict[str, str] = attrs.field(factory=dict)
    """What the tenant is called in the examples."""
    scope: str = ""
    """The scopes asked for, as a user of linkauth writes them."""
    page: str | None = None
    """The authorization page, without its query."""
    query: dict[str, str] = attrs.field(factory=dict)
    """What its query must have beside the client, the redirect URI, the state and ``response_type``."""
    pkce: bool = False
    """The page's query has a challenge, and the first token request the verifier."""
    token: str
    """The token endpoint."""
    json: bool = False
    """Token requests are JSON, not forms."""
    callback: dict[str, str] = attrs.field(factory=lambda: {"code": CODE})
    """What comes back beside ``state``."""
    kept: dict[str, str] = attrs.field(factory=dict)
    """What of it is in ``token.extra``."""
    client: str = BODY
    form: dict[str, str] = attrs.field(factory=dict)
    """What the first token request must have beside the client, the grant, the code, the redirect URI and the verifier."""
    granted: dict[str, Any]
    lifetime: float = attrs.field(default=attrs.Factory(lambda self: self.granted["expires_in"], takes_self=True))
    """Seconds that the granted token lives, where that is not what its answer says."""
    has: str = ""
    """The scope that is granted; empty: as asked."""
    renewed: dict[str, Any] | None = None
    """The answer to a renewal; None: there is none."""
    renewal_form: dict[str, str] = attrs.field(factory=dict)
    """What a renewal must have beside the client, the grant and the refresh token."""
    renewal: str | None = None
    """Where a renewal goes, if not to ``token``."""
    renewed_lifetime: float | None = None
    """Of the renewed token; None: as the first one's."""
    stays: bool = False
    """The refresh token stays what it was."""
    lapses: float | None = None
    """Seconds that the first refresh token lives."""
    header: tuple[str, str] = ("Authorization", "Bearer at-1")
    """How calls carry the token."""
    revoke: str | None = None


def _bearer(lifetime: float | None, refresh: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"access_token": "at-1", "token_type": "bearer", "expires_in": lifetime, "refresh_token": refresh}
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def _renewed(lifetime: float | None, refresh: str | None = None, **more: Any) -> dict[str, Any]:
    return {**_bearer(lifetime, refresh, **more), "access_token": "at-2"}


RECORDED = {
    "asana": Recorded(
        scope="default",
        page="https://app.asana.com/-/oauth_authorize",
        query={"scope": "default"},
        token="https://app.asana.com/-/oauth_token",
        granted=_bearer(3600, "rt-1", data={"id": 4673218951, "name": "Greg"}),
        renewed=_renewed(3600),
        stays=True,
    ),
    "box": Recorded(
        page="https://account.box.com/api/oauth2/authorize",
        token="https://api.box.com/oauth2/token",
        granted=_bearer(3600, "rt-1"),
        renewed=_renewed(3600, "rt-2"),
        lapses=60 * 86400,
    ),
    "digitalocean": Recorded(
        scope="read write",
        page="https://cloud.digitalocean.com/v1/oauth/authorize",
        query={"scope": "read write"},
        token="https://cloud.digitalocean.com/v1/oauth/token",
        granted=_bearer(2592000, "rt-1", scope="read write", info={"name": "Sammy"}),
        has="read write",
        renewed=_renewed(2592000, "rt-2", scope="read write"),
    ),
    "discord": Recorded(
        scope="identify guilds.join",
        page="https://discord.com/api/oauth2/authorize",
        query={"scope": "identify guilds.join"},
        token="https://discord.com/api/oauth2/token",
        granted=_bearer(604800, "rt-1", scope="identify"),
        has="identify",
        renewed=_renewed(604800, "rt-2", scope="identify"),
        revoke="https://discord.com/api/oauth2/token/revoke",
    ),
    "dropbox": Recorded(
        page="https://www.dropbox.com/oauth2/authorize",
        query={"token_access_type": "offline"},
        token="https://api.dropboxapi.com/oauth2/token",
        granted=_bearer(14400, "rt-1", scope="account_info.read", uid="12345", account_id="dbid:1"),
        has="account_info.read",
        renewed=_renewed(14400),
        stays=True,
    ),
    "ebay": Recorded(
        scope="https://api.ebay.com/oauth/api_scope",
        token="https://api.ebay.com/identity/v1/oauth2/token",
        client=BASIC,
        form={"grant_type": "client_credentials", "scope": "https://api.ebay.com/oauth/api_scope"},
        granted=_bearer(7200, token_type="Application Access Token"),
    ),
    "github": Recorded(
        page="https://github.com/login/oauth/authorize",
        token="https://github.com/login/oauth/access_token",
        granted=_bearer(28800, "rt-1", refresh_token_expires_in=15897600, scope=""),
        renewed=_renewed(28800, "rt-2", refresh_token_expires_in=15897600, scope=""),
        lapses=15897600,
    ),
    "gitlab": Recorded(
        given={"base": "https://gitlab.example.com"},
        scope="read_user profile",
        page="https://gitlab.example.com/oauth/authorize",
        query={"scope": "read_user profile"},
        token="https://gitlab.example.com/oauth/token",
        pkce=True,
        granted=_bearer(7200, "rt-1", created_at=1607635748),
        renewed=_renewed(7200, "rt-2", created_at=1628711391),
        revoke="https://gitlab.example.com/oauth/revoke",
    ),
    "google": Recorded(
        scope="https://www.googleapis.com/auth/drive",
        page="https://accounts.google.com/o/oauth2/v2/auth",
        query={"access_type": "offline"},
        token="https://oauth2.googleapis.com/token",
        pkce=True,
        granted=_bearer(3599, "rt-1", scope="https://www.googleapis.com/auth/drive", token_type="Bearer"),
        has="https://www.googleapis.com/auth/drive",
        renewed=_renewed(3599, token_type="Bearer"),
        stays=True,
        revoke="https://oauth2.googleapis.com/revoke",
    ),
    "hubspot": Recorded(
        scope="contacts oauth",
        page="https://app.hubspot.com/oauth/authorize",
        query={"scope": "contacts oauth"},
        token="https://api.hubapi.com/oauth/v1/token",
        granted=_bearer(1800, "rt-1"),
        renewed=_renewed(1800, "rt-1"),
        stays=True,
    ),
    "keycloak": Recorded(
        given={"base": "https://sso.example.com", "realm": "acme"},
        scope="openid",
        page="https://sso.example.com/realms/acme/protocol/openid-connect/auth",
        token="https://sso.example.com/realms/acme/protocol/openid-connect/token",
        granted=_bearer(300, "rt-1", refresh_expires_in=1800, session_state="1"),
        lapses=1800,
        renewed=_renewed(300, "rt-2", refresh_expires_in=1800),
        revoke="https://sso.example.com/realms/acme/protocol/openid-connect/revoke",
    ),
    "linkedin": Recorded(
        scope="r_liteprofile rw_ads",
        page="https://www.linkedin.com/oauth/v2/authorization",
        query={"scope": "r_liteprofile rw_ads"},
        token="https://www.linkedin.com/oauth/v2/accessToken",
        granted={
            "access_token": "at-1",
            "expires_in": 5184000,
            "refresh_token": "rt-1",
            "refresh_token_expires_in": 31536000,
            "scope": "r_liteprofile,rw_ads",
        },
        has="r_liteprofile rw_ads",
        lapses=31536000,
        renewed={
            "access_token": "at-2",
            "expires_in": 86400,
            "refresh_token": "rt-1",
            "refresh_token_expires_in": 439200,
        },
        renewed_lifetime=86400,
        stays=True,
    ),
    "mastodon": Recorded(
        given={"host": "mastodon.example"},
        scope="read write follow push",
        page="https://mastodon.example/oauth/authorize",
        query={"scope": "read write follow push"},
        token="https://mastodon.example/oauth/token",
        granted=_bearer(None, scope="read write follow push", created_at=1573979017, token_type="Bearer"),
        lifetime=math.inf,
        has="read write follow push",
        revoke="https://mastodon.example/oauth/revoke",
    ),
    "microsoft": Recorded(
        given={"tenant": "organizations"},
        scope="offline_access https://graph.microsoft.com/mail.read",
        page="https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize",
        token="https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
        pkce=True,
        granted=_bearer(3599, "rt-1", scope="https://graph.microsoft.com/mail.read", token_type="Bearer"),
        has="https://graph.microsoft.com/mail.read",
        lapses=90 * 86400,
        renewed=_renewed(3599, "rt-2", scope="https://graph.microsoft.com/mail.read"),
    ),
    "okta": Recorded(
        given={"domain": "acme.okta.com"},
        scope="offline_access orders",
        page="https://acme.okta.com/oauth2/default/v1/authorize",
        query={"scope": "offline_access orders"},
        token="https://acme.okta.com/oauth2/default/v1/token",
        client=BASIC,
        pkce=True,
        granted=_bearer(3600, "rt-1", scope="offline_access orders", token_type="Bearer"),
        has="offline_access orders",
        lapses=7 * 86400,
        renewed=_renewed(3600, "rt-2"),
    ),
    "shopify": Recorded(
        given={"shop": "some-shop"},
        scope="read_products write_orders",
        page="https://some-shop.myshopify.com/admin/oauth/authorize",
        query={"scope": "read_products,write_orders"},
        token="https://some-shop.myshopify.com/admin/oauth/access_token",
        form={"expiring": "1"},
        granted={
            "access_token": "at-1",
            "scope": "read_products,write_orders",
            "expires_in": 3600,
            "refresh_token": "rt-1",
            "refresh_token_expires_in": 7776000,
        },
        has="read_products write_orders",
        lapses=7776000,
        renewal_form={"expiring": "1"},  # which the page does not print: it is of no consequence (RFC 6749 §3.2)
        renewed=_renewed(3600, "rt-2", refresh_token_expires_in=7776000),
        header=("X-Shopify-Access-Token", "at-1"),
    ),
    "slack": Recorded(
        scope="channels:read chat:write",
        page="https://slack.com/oauth/v2/authorize",
        query={"scope": "channels:read,chat:write"},
        token="https://slack.com/api/oauth.v2.access",
        client=BASIC,
        granted=_bearer(43200, "rt-1", ok=True, token_type="bot", scope="channels:read,chat:write", bot_user_id="U1"),
        has="channels:read chat:write",
        renewed=_renewed(43200, "rt-2", ok=True, token_type="bot"),
    ),
    "spotify": Recorded(
        scope="user-read-private user-read-email",
        page="https://accounts.spotify.com/authorize",
        query={"scope": "user-read-private user-read-email"},
        token="https://accounts.spotify.com/api/token",
        client=BASIC,
        granted=_bearer(3600, "rt-1", scope="user-read-private user-read-email"),
        has="user-read-private user-read-email",
        renewed=_renewed(3600),
        stays=True,
    ),
    "twitch": Recorded(
        scope="user_read",
        page="https://id.twitch.tv/oauth2/authorize",
        query={"scope": "user_read"},
        token="https://id.twitch.tv/oauth2/token",
        granted=_bearer(14124, "rt-1", scope=["user_read"]),
        has="user_read",
        renewed=_renewed(14124, "rt-2", scope=["user_read"]),
    ),
    "xero": Recorded(
        scope="openid offline_access accounting.contacts",
        page="https://login.xero.com/identity/connect/authorize",
        token="https://identity.xero.com/connect/token",
        client=BASIC,
        granted=_bearer(1800, "rt-1", token_type="Bearer"),
        renewed=_renewed(1800, "rt-2", token_type="Bearer"),
    ),
    "airtable": Recorded(
        scope="data.records:read",
        page="https://airtable.com/oauth2/v1/authorize",
        query={"scope": "data.records:read"},
        token="https://airtable.com/oauth2/v1/token",
        client=BASIC,
        pkce=True,
        granted=_bearer(3600, "rt-1", refresh_expires_in=5184000, scope="data.records:read"),
        lapses=5184000,
        renewed=_renewed(3600, "rt-2", refresh_expires_in=5184000),
    ),
    "amazon-selling-partner": Recorded(
        given={"application_id": "amzn1.sellerapps.app.0bf296b5-36a6-4942-a13e-EXAMPLEfcd28"},
        page="https://sellercentral.amazon.com/apps/authorize/consent",
        query={"application_id": "amzn1.sellerapps.app.0bf296b5-36a6-4942-a13e-EXAMPLEfcd28"},
        callback={"spapi_oauth_code": CODE, "selling_partner_id": "sellingpartneridexample"},
        kept={"selling_partner_id": "sellingpartneridexample"},
        token="https://api.amazon.com/auth/o2/token",
        granted=_bearer(3600, "rt-1"),
        renewed=_renewed(3600, "rt-2"),
        header=("x-amz-access-token", "at-1"),
    ),
    "atlassian": Recorded(
        scope="read:jira-work offline_access",
        page="https://auth.atlassian.com/authorize",
        query={
            "audience": "api.atlassian.com",
            "scope": "read:jira-work offline_access",
            "prompt": "consent",
        },
        token="https://auth.atlassian.com/oauth/token",
        json=True,
        granted=_bearer(3600, "rt-1", scope="read:jira-work offline_access"),
        renewed=_renewed(3600, "rt-2", scope="read:jira-work offline_access"),
    ),
    "auth0": Recorded(
        given={"domain": "acme.auth0.com"},
        scope="read:contacts offline_access",
        page="https://acme.auth0.com/authorize",
        query={"scope": "read:contacts offline_access"},
        token="https://acme.auth0.com/oauth/token",
        pkce=True,
        granted=_bearer(86400, "rt-1", token_type="Bearer"),
        renewed=_renewed(86400, token_type="Bearer"),
        stays=True,
    ),
    "bynder": Recorded(
        given={"domain": "acme.bynder.com"},
        page="https://acme.bynder.com/v6/authentication/oauth2/auth",
        token="https://acme.bynder.com/v6/authentication/oauth2/token",
        granted=_bearer(3600, "rt-1"),
        renewed=_renewed(3600),
        stays=True,
    ),
    "cognito": Recorded(
        given={"domain": "mydomain.auth.us-east-1.amazoncognito.com"},
        page="https://mydomain.auth.us-east-1.amazoncognito.com/oauth2/authorize",
        token="https://mydomain.auth.us-east-1.amazoncognito.com/oauth2/token",
        client=BOTH,
        pkce=True,
        granted=_bearer(3600, "rt-1", token_type="Bearer"),
        renewed=_renewed(3600, token_type="Bearer"),
        stays=True,
    ),
    "docusign": Recorded(
        given={"host": "account-d.docusign.com"},
        scope="signature",
        page="https://account-d.docusign.com/oauth/auth",
        query={"scope": "signature"},
        token="https://account-d.docusign.com/oauth/token",
        client=BASIC,
        granted=_bearer(28800, "rt-1", token_type="Bearer"),
        renewed=_renewed(28800, "rt-2", token_type="Bearer"),
    ),
    "gitea": Recorded(
        given={"base": "https://git.example.com"},
        page="https://git.example.com/login/oauth/authorize",
        token="https://git.example.com/login/oauth/access_token",
        granted=_bearer(3600, "rt-1"),
        renewed=_renewed(3600, "rt-2"),
    ),
    "heroku": Recorded(
        scope="identity",
        page="https://id.heroku.com/oauth/authorize",
        query={"scope": "identity"},
        token="https://id.heroku.com/oauth/token",
        granted=_bearer(28800, "rt-1", token_type="Bearer"),
        renewed=_renewed(28800, "rt-1", token_type="Bearer"),
        stays=True,
    ),
    "mailchimp": Recorded(
        page="https://login.mailchimp.com/oauth2/authorize",
        token="https://login.mailchimp.com/oauth2/token",
        granted={"access_token": "at-1", "expires_in": 0, "scope": None},
        lifetime=math.inf,
    ),
    "mercadolibre": Recorded(
        given={"host": "auth.mercadolibre.com.ar"},
        page="https://auth.mercadolibre.com.ar/authorization",
        token="https://api.mercadolibre.com/oauth/token",
        granted=_bearer(21600, "rt-1", user_id=8035443),
        renewed=_renewed(21600, "rt-2"),
    ),
    "nextcloud": Recorded(
        given={"base": "https://cloud.example.com/nextcloud"},
        page="https://cloud.example.com/nextcloud/apps/oauth2/authorize",
        token="https://cloud.example.com/nextcloud/apps/oauth2/api/v1/token",
        granted=_bearer(3600, "rt-1", user_id="ada"),
        renewed=_renewed(3600, "rt-2"),
    ),
    "paypal": Recorded(
        given={"host": "api.sandbox.paypal.com"},
        token="https://api.sandbox.paypal.com/v1/oauth2/token",
        client=BASIC,
        form={"grant_type": "client_credentials"},
        granted=_bearer(32400, token_type="Bearer"),
    ),
    "quickbooks": Recorded(
        scope="com.intuit.quickbooks.accounting",
        page="https://appcenter.intuit.com/connect/oauth2",
        query={"scope": "com.intuit.quickbooks.accounting"},
        callback={"code": CODE, "realmId": "193514"},
        kept={"realmId": "193514"},
        token="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
        client=BASIC,
        granted=_bearer(3600, "rt-1", x_refresh_token_expires_in=8726400),
        lapses=8726400,
        renewed=_renewed(3600, "rt-2", x_refresh_token_expires_in=8726400),
    ),
    "strava": Recorded(
        scope="read activity:read_all",
        page="https://www.strava.com/oauth/authorize",
        query={"scope": "read,activity:read_all"},
        token="https://www.strava.com/oauth/token",
        granted=_bearer(21600, "rt-1", token_type="Bearer", expires_at=1568775134),
        renewed=_renewed(21600, "rt-2", token_type="Bearer"),
    ),
    "x": Recorded(
        scope="tweet.read offline.access",
        page="https://twitter.com/i/oauth2/authorize",
        query={"scope": "tweet.read offline.access"},
        token="https://api.twitter.com/2/oauth2/token",
        client=BOTH,
        pkce=True,
        granted=_bearer(7200, "rt-1", scope="tweet.read offline.access"),
        has="tweet.read offline.access",
        renewed=_renewed(7200, "rt-2"),
        revoke="https://api.twitter.com/2/oauth2/revoke",
    ),
    "zoho": Recorded(
        given={"domain": "zoho.eu"},
        scope="ZohoCRM.modules.ALL ZohoCRM.settings.ALL",
        page="https://accounts.zoho.eu/oauth/v2/auth",
        query={
            "scope": "ZohoCRM.modules.ALL,ZohoCRM.settings.ALL",
            "access_type": "offline",
        },
        token="https://accounts.zoho.eu/oauth/v2/token",
        granted=_bearer(3600, "rt-1", api_domain="https://www.zohoapis.eu", token_type="Bearer"),
        renewed=_renewed(3600, api_domain="https://www.zohoapis.eu", token_type="Bearer"),
        stays=True,
    ),
    "zoom-server-to-server": Recorded(
        given={"account_id": "Abc-_123"},
        token="https://zoom.us/oauth/token",
        client=BASIC,
        form={"grant_type": "account_credentials", "account_id": "Abc-_123"},
        granted=_bearer(3599, scope="user:read:admin"),
        has="user:read:admin",
    ),
}
