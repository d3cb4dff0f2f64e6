"""Servers that log people in, by a second reading."""

from __future__ import annotations

from tests.vendors.wires.form import BASIC, BOTH, Recorded

DAY = 86400
AADSTS = {
    "error": "invalid_grant",
    "error_description": "AADSTS70008: The provided refresh token is expired.\r\nTrace ID: 0000aaaa-11bb-cccc-dd22-eeeeee333333",
    "error_codes": [70008],
    "timestamp": "2016-01-09 02:02:12Z",
    "trace_id": "0000aaaa-11bb-cccc-dd22-eeeeee333333",
    "correlation_id": "aaaa0000-bb11-2222-33cc-444444dddddd",
}

IDENTITY = {
    "auth0": Recorded(
        page_read="https://auth0.com/docs/secure/tokens/refresh-tokens/use-refresh-tokens",
        given={"domain": "acme.auth0.com"},
        scope="read:contacts offline_access",
        page="https://acme.auth0.com/authorize",
        query={"scope": "read:contacts offline_access"},
        token="https://acme.auth0.com/oauth/token",
        pkce=True,
        granted={"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 86400, "token_type": "Bearer"},
        renewed={
            "access_token": "at-2",
            "expires_in": 86400,
            "scope": "openid offline_access",
            "id_token": "eyJ...0NE",
            "token_type": "Bearer",
        },
        stays=True,
    ),
    "cognito": Recorded(
        page_read="https://github.com/awsdocs/amazon-cognito-developer-guide/blob/main/doc_source/token-endpoint.md",
        given={"domain": "mydomain.auth.us-east-1.amazoncognito.com"},
        page="https://mydomain.auth.us-east-1.amazoncognito.com/oauth2/authorize",
        token="https://mydomain.auth.us-east-1.amazoncognito.com/oauth2/token",
        client=BOTH,
        pkce=True,
        granted={
            "access_token": "at-1",
            "refresh_token": "rt-1",
            "id_token": "dmcxd329ujdmkemkd349r",
            "token_type": "Bearer",
            "expires_in": 3600,
        },
        renewed={"id_token": "eyJz9sdfsdfsdfsd", "access_token": "at-2", "token_type": "Bearer", "expires_in": 3600},
        stays=True,
        refused=((400, {"error": "invalid_grant"}),),
    ),
    "google": Recorded(
        page_read="https://developers.google.com/identity/protocols/oauth2/web-server",
        scope="https://www.googleapis.com/auth/drive",
        page="https://accounts.google.com/o/oauth2/v2/auth",
        query={"scope": "https://www.googleapis.com/auth/drive", "access_type": "offline"},
        token="https://oauth2.googleapis.com/token",
        pkce=True,
        granted={
            "access_token": "at-1",
            "expires_in": 3920,
            "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/drive",
            "refresh_token": "rt-1",
        },
        has="https://www.googleapis.com/auth/drive",
        renewed={
            "access_token": "at-2",
            "expires_in": 3920,
            "scope": "https://www.googleapis.com/auth/drive",
            "token_type": "Bearer",
        },
        stays=True,
        revoke="https://oauth2.googleapis.com/revoke",
        refused=((400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}),),
    ),
    "microsoft": Recorded(
        page_read="https://github.com/MicrosoftDocs/entra-docs/blob/main/docs/identity-platform/v2-oauth2-auth-code-flow.md",
        given={"tenant": "organizations"},
        scope="offline_access https://graph.microsoft.com/mail.read",
        page="https://login.microsoftonline.com/organizations/oauth2/v2.0/authorize",
        query={"scope": "offline_access https://graph.microsoft.com/mail.read"},
        token="https://login.microsoftonline.com/organizations/oauth2/v2.0/token",
        pkce=True,
        granted={
            "access_token": "at-1",
            "token_type": "Bearer",
            "expires_in": 3599,
            "scope": "https%3A%2F%2Fgraph.microsoft.com%2Fmail.read",
            "refresh_token": "rt-1",
            "id_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJhdWQiOiIyZDRkMTFhMi1mODE0LTQ2YTctOD...",
        },
        has="https%3A%2F%2Fgraph.microsoft.com%2Fmail.read",
        lapses=90 * DAY,  # which this page leaves open: refresh-tokens.md beside it says it
        renewed={
            "access_token": "at-2",
            "token_type": "Bearer",
            "expires_in": 3599,
            "scope": "https%3A%2F%2Fgraph.microsoft.com%2Fmail.read",
            "refresh_token": "rt-2",
        },
        refused=((400, AADSTS),),
    ),
    "okta": Recorded(
        page_read="https://developer.okta.com/docs/guides/refresh-tokens/main/",
        given={"domain": "acme.okta.com"},
        scope="offline_access orders",
        page="https://acme.okta.com/oauth2/default/v1/authorize",
        query={"scope": "offline_access orders"},
        token="https://acme.okta.com/oauth2/default/v1/token",
        client=BASIC,
        pkce=True,
        granted={
            "token_type": "Bearer",
            "expires_in": 3600,
            "access_token": "at-1",
            "scope": "offline_access orders",
            "refresh_token": "rt-1",
        },
        has="offline_access orders",
        lapses=7 * DAY,
        renewed={"token_type": "Bearer", "expires_in": 3600, "access_token": "at-2", "refresh_token": "rt-2"},
    ),
}
