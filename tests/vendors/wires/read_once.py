"""The wire of those vendors whose pages nobody but the entry's writer has read.

A second reader reached no page of theirs that prints the answers. So they catch a slip in the entry, and no misreading. Where
the page prints no answer, it is RFC 6749's.
"""

from __future__ import annotations

import math

from tests.vendors.wires.form import Recorded, bearer, renewed

ONCE = {
    "bynder": Recorded(
        given={"domain": "acme.bynder.com"},
        page="https://acme.bynder.com/v6/authentication/oauth2/auth",
        token="https://acme.bynder.com/v6/authentication/oauth2/token",
        granted=bearer(3600, "rt-1"),
        renewed=renewed(3600),
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
    "mailchimp": Recorded(
        page="https://login.mailchimp.com/oauth2/authorize",
        token="https://login.mailchimp.com/oauth2/token",
        granted={"access_token": "at-1", "expires_in": 0, "scope": None},
        lifetime=math.inf,
    ),
}
