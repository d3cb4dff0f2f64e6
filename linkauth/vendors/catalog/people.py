"""Music, games, friends, and servers to rent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from linkauth.vendors.catalog.entry import HOST, entry, varies

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
        lifetime=math.inf,
    ),
    "spotify": entry(
        "https://github.com/spotify/web-api-examples/blob/master/authorization/authorization_code/app.js",
        "2026-11-30",
        authorize_url="https://accounts.spotify.com/authorize",
        token_url="https://accounts.spotify.com/api/token",
        api_url="https://api.spotify.com/v1",
        client_auth="basic",
    ),
    "twitch": entry(
        "https://github.com/twitchdev/authentication-node-sample/blob/master/index.js",
        "2026-11-30",
        authorize_url="https://id.twitch.tv/oauth2/authorize",
        token_url="https://id.twitch.tv/oauth2/token",
        api_url="https://api.twitch.tv/helix",
    ),
}
