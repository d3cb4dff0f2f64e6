"""Where people work together: chat, code, files, plans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import DAY, ENDS_ACCESS, HOST, MINUTE, ROOT, TEXT, entry, varies
from linkauth.vendors.dialect import Dialect
from linkauth.vendors.vendor import KEEPS, ROTATES, RotationProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["WORK"]

WORK: Final[Mapping[str, Entry]] = {
    "airtable": entry(
        "https://github.com/Airtable/oauth-example/blob/main/index.js",
        "2026-11-30",
        authorize_url="https://airtable.com/oauth2/v1/authorize",
        token_url="https://airtable.com/oauth2/v1/token",
        api_url="https://api.airtable.com",
        client_auth="basic",
        pkce=True,
    ),
    "asana": entry(
        "https://github.com/Asana/node-asana/blob/master/lib/auth/app.js",
        "2026-11-30",
        authorize_url="https://app.asana.com/-/oauth_authorize",
        token_url="https://app.asana.com/-/oauth_token",
        # https://developers.asana.com/docs/oauth: PKCE, and one refresh token for long. Its revocation is not RFC 7009's: it
        # refuses access tokens, so that a logout that has succeeded would end in an error.
        pkce=True,
        rotation=KEEPS,
    ),
    "atlassian": entry(
        "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
        "2026-11-30",
        api_asked_at="https://api.atlassian.com/oauth/token/accessible-resources",
        authorize_url="https://auth.atlassian.com/authorize",
        token_url="https://auth.atlassian.com/oauth/token",
        api_url="https://api.atlassian.com",
        authorize_extra={"audience": "api.atlassian.com", "prompt": "consent"},
        rotation=RotationProfile(rotates=True, replay_window=10 * MINUTE),  # the page's "reuse interval"
        refresh_lifetime=90 * DAY,
        # The page's refusal is RFC 6749's; this one is https://github.com/ParabolInc/parabol/issues/11849.
        dialect=Dialect(body="json", dead=("refresh_token is invalid",)),
    ),
    "box": entry(
        "https://developer.box.com/guides/authentication/tokens/refresh",
        "2026-11-30",
        authorize_url="https://account.box.com/api/oauth2/authorize",
        token_url="https://api.box.com/oauth2/token",
        rotation=ROTATES,
        refresh_lifetime=60 * DAY,
    ),
    "bynder": entry(
        "https://github.com/Bynder/bynder-python-sdk/blob/master/bynder_sdk/oauth2.py",
        "2026-11-30",
        per_tenant={"domain": varies("the portal's host, such as acme.bynder.com", HOST)},
        authorize_url="https://{domain}/v6/authentication/oauth2/auth",
        token_url="https://{domain}/v6/authentication/oauth2/token",
        api_url="https://{domain}/api",
    ),
    "discord": entry(
        "https://github.com/discord/discord-api-docs/blob/main/docs/topics/OAuth2.mdx",
        "2026-11-30",
        authorize_url="https://discord.com/oauth2/authorize",
        token_url="https://discord.com/api/oauth2/token",
        revoke_url="https://discord.com/api/oauth2/token/revoke",
    ),
    "docusign": entry(
        "https://github.com/docusign/docusign-esign-python-client/blob/master/docusign_esign/client/api_client.py",
        "2026-11-30",
        per_tenant={
            "host": varies(
                "the account server",
                HOST,
                "account.docusign.com",
                "account-d.docusign.com",
                default="account.docusign.com",
            )
        },
        api_asked_at="https://{host}/oauth/userinfo",
        authorize_url="https://{host}/oauth/auth",
        token_url="https://{host}/oauth/token",
        client_auth="basic",
        # https://www.docusign.com/blog/developers/authorization-code-grant-refresh-tokens
        refresh_lifetime=30 * DAY,
        dialect=Dialect(api_from={"base_uri": ["https://*.docusign.net"]}),
    ),
    "dropbox": entry(
        "https://github.com/dropbox/dropbox-sdk-js/blob/main/src/auth.js",
        "2026-11-30",
        authorize_url="https://www.dropbox.com/oauth2/authorize",
        token_url="https://api.dropboxapi.com/oauth2/token",
        api_url="https://api.dropboxapi.com",
        authorize_extra={"token_access_type": "offline"},
        rotation=KEEPS,
    ),
    "gitea": entry(
        "https://docs.gitea.com/development/oauth2-provider",
        "2026-11-30",
        per_tenant={"base": varies("Gitea's own URL", ROOT)},
        authorize_url="{base}/login/oauth/authorize",
        token_url="{base}/login/oauth/access_token",
        api_url="{base}",
    ),
    "github": entry(
        "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
        "2026-11-30",
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        api_url="https://api.github.com",
        lifetime=math.inf,  # of an app that has opted out of tokens that expire, whose answers state none
        rotation=ENDS_ACCESS,
    ),
    "gitlab": entry(
        "https://docs.gitlab.com/api/oauth2/",
        "2026-11-30",
        per_tenant={"base": varies("GitLab's own URL, where it is not gitlab.com", ROOT, default="https://gitlab.com")},
        authorize_url="{base}/oauth/authorize",
        token_url="{base}/oauth/token",
        revoke_url="{base}/oauth/revoke",
        api_url="{base}",
        pkce=True,
        rotation=ENDS_ACCESS,
    ),
    "heroku": entry(
        "https://github.com/heroku/omniauth-heroku/blob/main/lib/omniauth/strategies/heroku.rb",
        "2026-11-30",
        authorize_url="https://id.heroku.com/oauth/authorize",
        token_url="https://id.heroku.com/oauth/token",
        api_url="https://api.heroku.com",
        rotation=KEEPS,  # https://devcenter.heroku.com/articles/oauth: a renewal answers with the same one, which does not expire
    ),
    "nextcloud": entry(
        "https://docs.nextcloud.com/server/latest/admin_manual/configuration_server/oauth2.html",
        "2026-11-30",
        per_tenant={"base": varies("Nextcloud's own URL", ROOT)},
        authorize_url="{base}/apps/oauth2/authorize",
        token_url="{base}/apps/oauth2/api/v1/token",
        api_url="{base}",
        # https://github.com/nextcloud/server/blob/master/apps/oauth2/lib/Controller/OauthApiController.php, which says so of a
        # refresh token that it does not find, and of nothing that another try could mend.
        rotation=ENDS_ACCESS,
        dialect=Dialect(dead=("invalid_request",)),
    ),
    "slack": entry(
        "https://docs.slack.dev/authentication/using-token-rotation",
        "2026-11-30",
        authorize_url="https://slack.com/oauth/v2/authorize",
        token_url="https://slack.com/api/oauth.v2.access",
        api_url="https://slack.com/api",
        client_auth="basic",
        lifetime=math.inf,  # without token rotation, which an app turns on, a token does not expire
        rotation=ROTATES,
        dialect=Dialect(scope_separator=","),
    ),
    "zoom-server-to-server": entry(
        "https://github.com/zoom/server-to-server-oauth-token/blob/main/s2s.js",
        "2026-11-30",
        per_tenant={"account_id": varies("the Zoom account's id", TEXT)},
        token_url="https://zoom.us/oauth/token",
        api_url="https://api.zoom.us/v2",
        client_auth="basic",
        extra={"account_id": "{account_id}"},
        dialect=Dialect(grant_type="account_credentials"),
    ),
}
