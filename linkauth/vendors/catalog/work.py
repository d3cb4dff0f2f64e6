"""Where people work together: chat, code, files, plans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import ROOT, entry, varies
from linkauth.vendors.dialect import Dialect
from linkauth.vendors.vendor import KEEPS, ROTATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["WORK"]

DAY: Final = 86_400.0

WORK: Final[Mapping[str, Entry]] = {
    "asana": entry(
        "https://github.com/Asana/node-asana/blob/master/lib/auth/app.js",
        "2026-11-30",
        authorize_url="https://app.asana.com/-/oauth_authorize",
        token_url="https://app.asana.com/-/oauth_token",
    ),
    "box": entry(
        "https://developer.box.com/guides/authentication/tokens/refresh",
        "2026-11-30",
        authorize_url="https://account.box.com/api/oauth2/authorize",
        token_url="https://api.box.com/oauth2/token",
        rotation=ROTATES,
        refresh_lifetime=60 * DAY,
    ),
    "discord": entry(
        "https://github.com/discord/discord-api-docs/blob/main/docs/topics/OAuth2.md",
        "2026-11-30",
        authorize_url="https://discord.com/api/oauth2/authorize",
        token_url="https://discord.com/api/oauth2/token",
        revoke_url="https://discord.com/api/oauth2/token/revoke",
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
    "github": entry(
        "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens",
        "2026-11-30",
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        api_url="https://api.github.com",
        lifetime=math.inf,  # of an app that has opted out of tokens that expire, whose answers state none
        rotation=ROTATES,
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
        rotation=ROTATES,
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
}
