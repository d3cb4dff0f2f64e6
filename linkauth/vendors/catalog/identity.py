"""Servers that log people in, for whatever API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import DAY, HOST, ROOT, entry, varies
from linkauth.vendors.dialect import Dialect
from linkauth.vendors.vendor import KEEPS, ROTATES, RotationProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["IDENTITY"]

IDENTITY: Final[Mapping[str, Entry]] = {
    "auth0": entry(
        "https://auth0.com/docs/api/authentication",
        "2026-11-30",
        per_tenant={"domain": varies("the tenant's host, such as acme.auth0.com", HOST)},
        authorize_url="https://{domain}/authorize",
        token_url="https://{domain}/oauth/token",
        pkce=True,
    ),
    "cognito": entry(
        "https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html",
        "2026-11-30",
        per_tenant={"domain": varies("the pool's host, such as acme.auth.us-east-1.amazoncognito.com", HOST)},
        authorize_url="https://{domain}/oauth2/authorize",
        token_url="https://{domain}/oauth2/token",
        client_auth="basic",
        pkce=True,
        dialect=Dialect(id_in_body=True),
    ),
    "google": entry(
        "https://github.com/googleapis/google-auth-library-nodejs/blob/main/src/auth/oauth2client.ts",
        "2026-11-30",
        authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
        token_url="https://oauth2.googleapis.com/token",
        revoke_url="https://oauth2.googleapis.com/revoke",
        api_url="https://www.googleapis.com",
        authorize_extra={"access_type": "offline"},
        pkce=True,
        rotation=KEEPS,
    ),
    "keycloak": entry(
        "https://www.keycloak.org/securing-apps/oidc-layers",
        "2026-11-30",
        per_tenant={"base": varies("Keycloak's own URL", ROOT), "realm": varies("the realm")},
        authorize_url="{base}/realms/{realm}/protocol/openid-connect/auth",
        token_url="{base}/realms/{realm}/protocol/openid-connect/token",
        revoke_url="{base}/realms/{realm}/protocol/openid-connect/revoke",
        # https://www.keycloak.org/docs/latest/server_admin/#_proof-key-for-code-exchange: a client's settings may demand it.
        pkce=True,
    ),
    "microsoft": entry(
        "https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow",
        "2026-11-30",
        per_tenant={"tenant": varies("common, organizations, consumers, or a tenant's id", default="common")},
        authorize_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        api_url="https://graph.microsoft.com",
        pkce=True,
        # https://learn.microsoft.com/en-us/entra/identity-platform/refresh-tokens: each use brings a new one, the old one
        # stays good, and one that is not used lapses after 90 days.
        rotation=RotationProfile(reuse_revokes=False),
        refresh_lifetime=90 * DAY,
    ),
    "okta": entry(
        "https://developer.okta.com/docs/guides/refresh-tokens/main/",
        "2026-11-30",
        per_tenant={
            "domain": varies("the Okta domain, such as acme.okta.com", HOST),
            "server": varies("the authorization server", default="default"),
        },
        authorize_url="https://{domain}/oauth2/{server}/v1/authorize",
        token_url="https://{domain}/oauth2/{server}/v1/token",
        client_auth="basic",
        pkce=True,
        rotation=ROTATES,  # as an app's settings may have it
        refresh_lifetime=7 * DAY,
    ),
}
