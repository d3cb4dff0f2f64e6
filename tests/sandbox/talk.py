"""What the tests of several vendors say in the same words."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from json import loads
from typing import Any
from urllib.parse import urlencode

VERIFIER = "a-verifier-that-is-long-enough-0123456789-abcdef"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def claims(jwt: str) -> dict[str, Any]:
    """What a JWT says."""
    part = jwt.split(".")[1]
    return loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def url(base: str, **params: str | None) -> str:
    return f"{base}?{urlencode({name: value for name, value in params.items() if value is not None})}"


async def post(http, target: str, **how) -> tuple[int, dict[str, Any]]:
    if not {"data", "json"} & how.keys():
        how["skip_auto_headers"] = ["Content-Type"]  # which aiohttp adds to nothing, and a strict server refuses
    async with http.post(target, allow_redirects=False, **how) as response:
        return response.status, await response.json()


async def get(http, target: str, bearer: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with http.get(target, headers=headers, allow_redirects=False) as response:
        return response.status, await response.json()
