"""Music, games, friends, and servers to rent, by a second reading."""

from __future__ import annotations

import math

from tests.vendors.wires.form import BASIC, BOTH, DAY, Recorded, bearer, renewed

PEOPLE = {
    "digitalocean": Recorded(
        page_read="https://docs.digitalocean.com/reference/api/oauth",
        scope="read write",
        page="https://cloud.digitalocean.com/v1/oauth/authorize",
        query={"scope": "read write"},
        token="https://cloud.digitalocean.com/v1/oauth/token",
        granted={
            "access_token": "at-1",
            "token_type": "bearer",
            "expires_in": 2592000,
            "refresh_token": "rt-1",
            "info": {
                "name": "Sammy the Shark",
                "email": "sammy@digitalocean.com",
                "uuid": "EXAMPLE0-a636-11ec-9e9d-3381ceabe039",
                "team_uuid": "EXAMPLE1-a636-11ec-a6ac-1323bf96ef4d",
                "team_name": "My Team",
            },
        },
        renewal="https://cloud.digitalocean.com/v1/oauth/refresh",  # its two parameters, and the client (RFC 6749 §6)
        renewed={"access_token": "at-2", "token_type": "bearer", "expires_in": 2592000, "refresh_token": "rt-2"},
        ends_access=True,
    ),
    "mastodon": Recorded(
        page_read="https://github.com/mastodon/documentation/blob/main/content/en/methods/oauth.md",
        given={"host": "mastodon.example"},
        scope="read write follow push",
        page="https://mastodon.example/oauth/authorize",
        query={"scope": "read write follow push"},
        token="https://mastodon.example/oauth/token",
        granted={
            "access_token": "at-1",
            "token_type": "Bearer",
            "scope": "read write follow push",
            "created_at": 1573979017,
        },
        lifetime=math.inf,
        has="read write follow push",
        revoke="https://mastodon.example/oauth/revoke",
    ),
    "spotify": Recorded(
        page_read="https://developer.spotify.com/documentation/web-api/tutorials/refreshing-tokens",
        scope="user-read-private user-read-email",
        page="https://accounts.spotify.com/authorize",
        query={"scope": "user-read-private user-read-email"},
        token="https://accounts.spotify.com/api/token",
        client=BASIC,
        granted={
            "access_token": "at-1",
            "token_type": "Bearer",
            "scope": "user-read-private user-read-email",
            "expires_in": 3600,
            "refresh_token": "rt-1",
        },
        has="user-read-private user-read-email",
        lapses=180 * DAY,  # "6 months", the shortest that these can be taken for
        consent=180 * DAY,
        renewed={"access_token": "at-2", "token_type": "Bearer", "expires_in": 3600},
        stays=True,
    ),
    "strava": Recorded(
        page_read="https://developers.strava.com/docs/authentication/",
        scope="read activity:read_all",
        page="https://www.strava.com/oauth/authorize",
        query={"scope": "read,activity:read_all"},
        token="https://www.strava.com/oauth/token",
        granted={
            "token_type": "Bearer",
            "expires_at": 1568775134,
            "expires_in": 21600,
            "refresh_token": "rt-1",
            "access_token": "at-1",
            "athlete": {"id": 123456, "firstname": "John", "lastname": "Doe"},
        },
        renewed={
            "token_type": "Bearer",
            "access_token": "at-2",
            "expires_at": 1568775134,
            "expires_in": 20566,
            "refresh_token": "rt-2",
        },
        renewed_lifetime=20566,
        refused=(
            (
                400,
                {
                    "message": "Bad Request",
                    "errors": [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}],
                },
            ),
        ),
    ),
    "twitch": Recorded(
        page_read="https://dev.twitch.tv/docs/authentication/refresh-tokens",
        scope="channel:read:subscriptions",
        page="https://id.twitch.tv/oauth2/authorize",
        query={"scope": "channel:read:subscriptions"},
        token="https://id.twitch.tv/oauth2/token",
        granted={
            "access_token": "at-1",
            "refresh_token": "rt-1",
            "expires_in": 5215742,
            "scope": "channel:read:subscriptions",
            "token_type": "bearer",
        },
        has="channel:read:subscriptions",
        renewed=renewed(14124, "rt-2", scope=["channel:read:subscriptions"]),
        renewed_lifetime=14124,
        refused=((400, {"error": "Bad Request", "status": 400, "message": "Invalid refresh token"}),),
    ),
    "x": Recorded(
        page_read="https://docs.x.com/resources/fundamentals/authentication/oauth-2-0/user-access-token",
        scope="tweet.read offline.access",
        page="https://x.com/i/oauth2/authorize",
        query={"scope": "tweet.read offline.access"},
        token="https://api.x.com/2/oauth2/token",
        client=BOTH,
        pkce=True,
        granted=bearer(7200, "rt-1", scope="tweet.read offline.access"),
        has="tweet.read offline.access",
        renewed=renewed(7200, "rt-2"),
        revoke="https://api.x.com/2/oauth2/revoke",
    ),
}
