"""The wire of those vendors whose pages nobody but the entry's writer has read.

So they catch a slip in the entry, and no misreading. Where the page prints no answer, it is RFC 6749's.
"""

from __future__ import annotations

import math

from tests.vendors.wires.form import BASIC, CODE, Recorded, bearer, renewed

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
    "pipedrive": Recorded(
        scope="deals:read contacts:read",
        page="https://oauth.pipedrive.com/oauth/authorize",
        token="https://oauth.pipedrive.com/oauth/token",
        client=BASIC,
        granted=bearer(
            3600,
            "rt-1",
            token_type="Bearer",
            scope="deals:read contacts:read",
            api_domain="https://yourcompanydomain.pipedrive.com",
        ),
        has="deals:read contacts:read",
        lapses=60 * 86400,
        renewed=renewed(3600, "rt-2", token_type="Bearer", api_domain="https://yourcompanydomain.pipedrive.com"),
        api="https://yourcompanydomain.pipedrive.com",
    ),
    "salesforce": Recorded(
        given={"host": "test.salesforce.com"},
        scope="api refresh_token",
        page="https://test.salesforce.com/services/oauth2/authorize",
        query={"scope": "api refresh_token"},
        token="https://test.salesforce.com/services/oauth2/token",
        granted={
            "access_token": "at-1",
            "refresh_token": "rt-1",
            "instance_url": "https://acme--dev.sandbox.my.salesforce.com",
            "id": "https://test.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P",
            "issued_at": "1278448832702",
            "signature": "0CmxinZir53Yex7nE0TD+zMpvIWYGb/bdJh6XfOH6EQ=",
            "token_type": "Bearer",
        },
        lifetime=900,
        renewed={
            "access_token": "at-2",
            "instance_url": "https://acme--dev.sandbox.my.salesforce.com",
            "issued_at": "1278448832703",
            "token_type": "Bearer",
        },
        stays=True,
        api="https://acme--dev.sandbox.my.salesforce.com",
    ),
    "zendesk": Recorded(
        given={"subdomain": "acme"},
        scope="tickets:read users:read",
        page="https://acme.zendesk.com/oauth/authorizations/new",
        query={"scope": "tickets:read users:read"},
        token="https://acme.zendesk.com/oauth/tokens",
        granted=bearer(1800, "rt-1", scope="tickets:read users:read", refresh_token_expires_in=2592000),
        has="tickets:read users:read",
        lapses=2592000,
        renewed=renewed(1800, "rt-2", refresh_token_expires_in=2592000),
        ends_access=True,
    ),
    "mailchimp": Recorded(
        page="https://login.mailchimp.com/oauth2/authorize",
        token="https://login.mailchimp.com/oauth2/token",
        granted={"access_token": "at-1", "expires_in": 0, "scope": None},
        lifetime=math.inf,
    ),
}
