"""Music, games, friends, and servers to rent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import DAY, ENDS_ACCESS, HOST, entry, varies
from linkauth.vendors.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["PEOPLE"]

PEOPLE: Final[Mapping[str, Entry]] = {
    "digitalocean": entry(
        "https://docs.digitalocean.com/reference/api/oauth",
        "2026-11-30",
        authorize_url="https://cloud.digitalocean.com/v1/oauth/authorize",
        token_url="https://cloud.digitalocean.com/v1/oauth/token",
        api_url="https://api.digitalocean.com",
        rotation=ENDS_ACCESS,
        dialect=Dialect(refresh_url="https://cloud.digitalocean.com/v1/oauth/refresh"),
    ),
    "mastodon": entry(
        "https://docs.joinmastodon.org/methods/oauth/",
        "2026-11-30",
        per_tenant={"host": varies("the instance, such as mastodon.social", HOST)},
        authorize_url="https://{host}/oauth/authorize",
        token_url="https://{host}/oauth/token",
        revoke_url="https://{host}/oauth/revoke",
        lifetime=math.inf,  # https://docs.joinmastodon.org/api/oauth-tokens/: no token expires by itself
    ),
    "spotify": entry(
        "https://github.com/spotify/web-api-examples/blob/master/authorization/authorization_code/app.js",
        "2026-11-30",
        authorize_url="https://accounts.spotify.com/authorize",
        token_url="https://accounts.spotify.com/api/token",
        api_url="https://api.spotify.com/v1",
        client_auth="basic",
        # https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens: "6 months" from the consent.
        session_lifetime=180 * DAY,
    ),
    "strava": entry(
        "https://developers.strava.com/docs/authentication/",
        "2026-11-30",
        authorize_url="https://www.strava.com/oauth/authorize",
        token_url="https://www.strava.com/oauth/token",
        api_url="https://www.strava.com/api/v3",
        # Of a refusal, which the page does not print: https://github.com/dreeveapp/dreeve/issues/1449.
        dialect=Dialect(scope_separator=",", dead=("RefreshToken",)),
    ),
    "twitch": entry(
        "https://dev.twitch.tv/docs/authentication/refresh-tokens",
        "2026-11-30",
        authorize_url="https://id.twitch.tv/oauth2/authorize",
        token_url="https://id.twitch.tv/oauth2/token",
        api_url="https://api.twitch.tv/helix",
        # https://github.com/twitchdev/issues/issues/1037
        dialect=Dialect(dead=("Invalid refresh token",)),
    ),
    "x": entry(
        "https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token",
        "2026-11-30",
        authorize_url="https://x.com/i/oauth2/authorize",
        token_url="https://api.x.com/2/oauth2/token",
        revoke_url="https://api.x.com/2/oauth2/revoke",
        api_url="https://api.x.com",
        client_auth="basic",
        pkce=True,
        dialect=Dialect(id_in_body=True, dead=("Value passed for the token was invalid",)),
    ),
}
