"""Customers, books and shops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import entry, varies
from linkauth.vendors.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["BUSINESS"]

BUSINESS: Final[Mapping[str, Entry]] = {
    "ebay": entry(  # of an app, not of a user: its redirect URI is a name, which is no URL
        "https://github.com/eBay/ebay-oauth-python-client/blob/master/oauthclient/oauth2api.py",
        "2026-11-30",
        token_url="https://api.ebay.com/identity/v1/oauth2/token",
        api_url="https://api.ebay.com",
        client_auth="basic",
    ),
    "hubspot": entry(
        "https://github.com/HubSpot/oauth-quickstart-nodejs/blob/master/index.js",
        "2026-11-30",
        authorize_url="https://app.hubspot.com/oauth/authorize",
        token_url="https://api.hubapi.com/oauth/v1/token",
        api_url="https://api.hubapi.com",
    ),
    "linkedin": entry(
        "https://github.com/linkedin-developers/linkedin-api-python-client/blob/main/linkedin_api/clients/auth/client.py",
        "2026-11-30",
        authorize_url="https://www.linkedin.com/oauth/v2/authorization",
        token_url="https://www.linkedin.com/oauth/v2/accessToken",
        api_url="https://api.linkedin.com",
    ),
    "shopify": entry(
        "https://github.com/Shopify/shopify_python_api/blob/main/shopify/session.py",
        "2026-11-30",
        per_tenant={"shop": varies("the shop's name, as in NAME.myshopify.com")},
        authorize_url="https://{shop}.myshopify.com/admin/oauth/authorize",
        token_url="https://{shop}.myshopify.com/admin/oauth/access_token",
        api_url="https://{shop}.myshopify.com/admin",
        lifetime=math.inf,
        dialect=Dialect(scope_separator=",", header="X-Shopify-Access-Token"),
    ),
    "xero": entry(
        "https://github.com/XeroAPI/xero-node/blob/master/src/XeroClient.ts",
        "2026-11-30",
        authorize_url="https://login.xero.com/identity/connect/authorize",
        token_url="https://identity.xero.com/connect/token",
        api_url="https://api.xero.com",
        client_auth="basic",
    ),
}
