"""Customers, books and shops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import DAY, ENDS_ACCESS, HOST, MINUTE, TEXT, entry, varies
from linkauth.vendors.dialect import Dialect
from linkauth.vendors.vendor import KEEPS, RotationProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["BUSINESS"]

ZOHO: Final = ("zoho.com", "zoho.com.au", "zoho.com.cn", "zoho.eu", "zoho.in", "zoho.jp", "zoho.sa", "zohocloud.ca")
"""Zoho's data centers, as its accounts' hosts name them."""

BUSINESS: Final[Mapping[str, Entry]] = {
    "amazon-selling-partner": entry(
        "https://github.com/amzn/selling-partner-api-docs/blob/main/guides/en-US/developer-guide/SellingPartnerApiDeveloperGuide.md",
        "2026-11-30",
        per_tenant={
            "application_id": varies("the application's id, such as amzn1.sellerapps.app.…", TEXT),
            "seller_central": varies("where the seller consents", HOST, default="sellercentral.amazon.com"),
        },
        authorize_url="https://{seller_central}/apps/authorize/consent",
        token_url="https://api.amazon.com/auth/o2/token",
        api_url="https://sellingpartnerapi-na.amazon.com",
        authorize_extra={"application_id": "{application_id}"},
        rotation=KEEPS,
        dialect=Dialect(code_name="spapi_oauth_code", keep_params=("selling_partner_id",), header="x-amz-access-token"),
    ),
    "ebay": entry(  # of an app, not of a user: its redirect URI is a name, which is no URL
        "https://github.com/eBay/ebay-oauth-python-client/blob/master/oauthclient/oauth2api.py",
        "2026-11-30",
        token_url="https://api.ebay.com/identity/v1/oauth2/token",
        api_url="https://api.ebay.com",
        client_auth="basic",
    ),
    "hubspot": entry(
        "https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide",
        "2026-11-30",
        authorize_url="https://app.hubspot.com/oauth/authorize",
        token_url="https://api.hubapi.com/oauth/v3/token",
        api_url="https://api.hubapi.com",
    ),
    "linkedin": entry(
        "https://github.com/linkedin-developers/linkedin-api-python-client/blob/main/linkedin_api/clients/auth/client.py",
        "2026-11-30",
        authorize_url="https://www.linkedin.com/oauth/v2/authorization",
        token_url="https://www.linkedin.com/oauth/v2/accessToken",
        api_url="https://api.linkedin.com",
        # https://learn.microsoft.com/en-us/linkedin/shared/authentication/programmatic-refresh-tokens
        session_lifetime=365 * DAY,
    ),
    "mailchimp": entry(
        "https://developer.mailchimp.com/documentation/mailchimp/guides/how-to-use-oauth2/",
        "2026-11-30",
        api_asked_at="https://login.mailchimp.com/oauth2/metadata",
        authorize_url="https://login.mailchimp.com/oauth2/authorize",
        token_url="https://login.mailchimp.com/oauth2/token",
        lifetime=math.inf,
        dialect=Dialect(api_from={"api_endpoint": ["https://*.api.mailchimp.com"]}),
    ),
    "mercadolibre": entry(
        "https://github.com/mercadolibre/python-sdk/blob/master/README.md",
        "2026-11-30",
        per_tenant={
            "host": varies("where the user consents, such as auth.mercadolibre.com.ar", HOST),
        },
        authorize_url="https://{host}/authorization",
        token_url="https://api.mercadolibre.com/oauth/token",
        api_url="https://api.mercadolibre.com",
    ),
    "paypal": entry(  # of an app
        "https://developer.paypal.com/api/rest/authentication/",
        "2026-11-30",
        per_tenant={
            "host": varies(
                "live or sandbox", HOST, "api-m.paypal.com", "api-m.sandbox.paypal.com", default="api-m.paypal.com"
            )
        },
        token_url="https://{host}/v1/oauth2/token",
        client_auth="basic",
    ),
    "pipedrive": entry(
        "https://developers.pipedrive.com/docs/api/v1/Oauth",
        "2026-11-30",
        authorize_url="https://oauth.pipedrive.com/oauth/authorize",
        token_url="https://oauth.pipedrive.com/oauth/token",
        api_url="https://api.pipedrive.com",
        client_auth="basic",
        # https://pipedrive.readme.io/docs/marketplace-oauth-authorization: a renewal answers with the same one, for 60 days more.
        rotation=KEEPS,
        refresh_lifetime=60 * DAY,
        dialect=Dialect(api_from={"api_domain": ["https://*.pipedrive.com"]}),
    ),
    "quickbooks": entry(
        "https://github.com/intuit/oauth-jsclient/blob/master/src/OAuthClient.js",
        "2026-11-30",
        authorize_url="https://appcenter.intuit.com/connect/oauth2",
        token_url="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
        api_url="https://quickbooks.api.intuit.com",
        client_auth="basic",
        # https://github.com/intuit/oauth-jsclient/blob/master/README.md: the one before lapses a day after a new one came.
        rotation=RotationProfile(rotates=True, replay_window=DAY),
        dialect=Dialect(keep_params=("realmId",)),
    ),
    "salesforce": entry(
        "https://developer.salesforce.com/docs/atlas.en-us.218.0.api_rest.meta/api_rest/intro_understanding_refresh_token_oauth.htm",
        "2026-11-30",
        per_tenant={
            "host": varies(
                "where the user logs in: test.salesforce.com, or My Domain", HOST, default="login.salesforce.com"
            )
        },
        authorize_url="https://{host}/services/oauth2/authorize",
        token_url="https://{host}/services/oauth2/token",
        # https://developer.salesforce.com/docs/platform/mobile-sdk/guide/oauth-revoking-tokens.html
        revoke_url="https://{host}/services/oauth2/revoke",
        # https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_pkce.htm&type=5: an organization may demand it.
        pkce=True,
        # Answers state none: it is the organization's session timeout, of which this is the shortest
        # (https://teams-and-crews.beta.docs.skedulo.com/user-guides/admin-and-config/admin-and-config-salesforce/change-inactivity-timeout).
        lifetime=15 * MINUTE,
        dialect=Dialect(
            api_from={
                "instance_url": [
                    "https://*.salesforce.com",
                    "https://*.my.salesforce.com",
                    "https://*.sandbox.my.salesforce.com",
                ]
            }
        ),
    ),
    "shopify": entry(
        "https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant",
        "2026-11-30",
        per_tenant={"shop": varies("the shop's name, as in NAME.myshopify.com")},
        authorize_url="https://{shop}.myshopify.com/admin/oauth/authorize",
        token_url="https://{shop}.myshopify.com/admin/oauth/access_token",
        api_url="https://{shop}.myshopify.com/admin",
        lifetime=math.inf,  # of a token that was asked for without ``expiring``
        # An app for anybody's shop has to ask for tokens that expire, one for one shop may.
        dialect=Dialect(scope_separator=",", header="X-Shopify-Access-Token", token_extra={"expiring": "1"}),
    ),
    "xero": entry(
        "https://github.com/XeroAPI/xero-node/blob/master/src/XeroClient.ts",
        "2026-11-30",
        authorize_url="https://login.xero.com/identity/connect/authorize",
        token_url="https://identity.xero.com/connect/token",
        api_url="https://api.xero.com",
        client_auth="basic",
        # https://developer.xero.com/faq/oauth2: what was sent may be sent again for half an hour.
        rotation=RotationProfile(rotates=True, replay_window=30 * MINUTE),
        refresh_lifetime=60 * DAY,
    ),
    "zendesk": entry(
        "https://developer.zendesk.com/documentation/api-basics/authentication/refresh-token",
        "2026-11-30",
        per_tenant={"subdomain": varies("the account's name, as in NAME.zendesk.com")},
        authorize_url="https://{subdomain}.zendesk.com/oauth/authorizations/new",
        token_url="https://{subdomain}.zendesk.com/oauth/tokens",
        api_url="https://{subdomain}.zendesk.com",
        pkce=True,
        # https://support.zendesk.com/hc/en-us/articles/9182123625370: a client of before may have tokens that do not expire, whose
        # answers state no lifetime; and a renewal deletes the access token before it.
        lifetime=math.inf,
        rotation=ENDS_ACCESS,
        # https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/: "must be formatted as JSON"
        dialect=Dialect(body="json"),
    ),
    "zoho": entry(
        "https://zoho.com/writer/help/api/v1/oauth-step3.html",
        "2026-11-30",
        per_tenant={
            "domain": varies("the data center's domain", HOST, *ZOHO, default="zoho.com"),
        },
        authorize_url="https://accounts.{domain}/oauth/v2/auth",
        token_url="https://accounts.{domain}/oauth/v2/token",
        authorize_extra={"access_type": "offline"},
        rotation=KEEPS,
        dialect=Dialect(scope_separator=","),
    ),
}
