"""The wire of those vendors whose page was read once, by whoever wrote the catalogue's entry.

So they catch a slip in the entry, and no misreading. Where the page prints no answer, it is RFC 6749's.
"""

from __future__ import annotations

import math

from tests.vendors.wires.form import CODE, Recorded, bearer, renewed

ONCE = {
    "amazon-selling-partner": Recorded(
        given={"application_id": "amzn1.sellerapps.app.0bf296b5-36a6-4942-a13e-EXAMPLEfcd28"},
        page="https://sellercentral.amazon.com/apps/authorize/consent",
        query={"application_id": "amzn1.sellerapps.app.0bf296b5-36a6-4942-a13e-EXAMPLEfcd28"},
        callback={"spapi_oauth_code": CODE, "selling_partner_id": "sellingpartneridexample"},
        kept={"selling_partner_id": "sellingpartneridexample"},
        token="https://api.amazon.com/auth/o2/token",
        granted=bearer(3600, "rt-1"),
        renewed=renewed(3600, "rt-2"),
        header=("x-amz-access-token", "at-1"),
    ),
    "asana": Recorded(
        scope="default",
        page="https://app.asana.com/-/oauth_authorize",
        query={"scope": "default"},
        token="https://app.asana.com/-/oauth_token",
        granted=bearer(3600, "rt-1", data={"id": 4673218951, "name": "Greg"}),
        renewed=renewed(3600),
        stays=True,
    ),
    "bynder": Recorded(
        given={"domain": "acme.bynder.com"},
        page="https://acme.bynder.com/v6/authentication/oauth2/auth",
        token="https://acme.bynder.com/v6/authentication/oauth2/token",
        granted=bearer(3600, "rt-1"),
        renewed=renewed(3600),
        stays=True,
    ),
    "heroku": Recorded(
        scope="identity",
        page="https://id.heroku.com/oauth/authorize",
        query={"scope": "identity"},
        token="https://id.heroku.com/oauth/token",
        granted=bearer(28800, "rt-1", token_type="Bearer"),
        renewed=renewed(28800, "rt-1", token_type="Bearer"),
        stays=True,
    ),
    "keycloak": Recorded(
        given={"base": "https://sso.example.com", "realm": "acme"},
        scope="openid",
        page="https://sso.example.com/realms/acme/protocol/openid-connect/auth",
        token="https://sso.example.com/realms/acme/protocol/openid-connect/token",
        granted=bearer(300, "rt-1", refresh_expires_in=1800, session_state="1"),
        lapses=1800,
        renewed=renewed(300, "rt-2", refresh_expires_in=1800),
        revoke="https://sso.example.com/realms/acme/protocol/openid-connect/revoke",
    ),
    "mailchimp": Recorded(
        page="https://login.mailchimp.com/oauth2/authorize",
        token="https://login.mailchimp.com/oauth2/token",
        granted={"access_token": "at-1", "expires_in": 0, "scope": None},
        lifetime=math.inf,
    ),
}
