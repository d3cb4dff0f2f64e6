"""Music, games, friends, and servers to rent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import HOST, entry, varies
from linkauth.vendors.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.vendors.catalog.entry import Entry

__all__ = ["PEOPLE"]

PEOPLE: Final[Mapping[str, Entry]] = {
    "digitalocean": entry(
        "https://github.com/digitalocean/omniauth-digitalocean/blob/master/lib/omniauth/strategies/digitalocean.rb",
        "2026-11-30",
        authorize_url="https://cloud.digitalocean.com/v1/oauth/authorize",
        token_url="https://cloud.digitalocean.com/v1/oauth/token",
        api_url="https://api.digitalocean.com",
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
    ),
    "strava": entry(
        "https://developers.strava.com/docs/authentication/",
        "2026-11-30",
        authorize_url="https://www.strava.com/oauth/authorize",
        token_url="https://www.strava.com/oauth/token",
        api_url="https://www.strava.com/api/v3",
        dialect=Dialect(scope_separator=","),
    ),
    "twitch": entry(
        "https://github.com/twitchdev/authentication-node-sample/blob/master/index.js",
        "2026-11-30",
        authorize_url="https://id.twitch.tv/oauth2/authorize",
        token_url="https://id.twitch.tv/oauth2/token",
        api_url="https://api.twitch.tv/helix",
    ),
    "x": entry(
        "https://github.com/xdevplatform/twitter-api-typescript-sdk/blob/main/src/OAuth2User.ts",
        "2026-11-30",
        authorize_url="https://twitter.com/i/oauth2/authorize",
        token_url="https://api.twitter.com/2/oauth2/token",
        revoke_url="https://api.twitter.com/2/oauth2/revoke",
        client_auth="basic",
        pkce=True,
        dialect=Dialect(id_in_body=True, dead=("Value passed for the token was invalid",)),
    ),
}
