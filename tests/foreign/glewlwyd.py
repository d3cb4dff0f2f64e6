"""Glewlwyd as a process, from Debian's package: an OpenID Connect server in C that no part of is ours.

Its administrator's API sets it up: one user, one client, a scope.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

from tests.servers import free_port, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from linkauth import Credential

PROGRAM = shutil.which("glewlwyd")
TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
"""The package's own, with an administrator in them."""

SECRET = "a secret: 100%+ & æ"
USER = {"username": "ada", "password": "correct horse"}
PLUGIN = {
    "jwt-type": "sha",
    "jwt-key-size": "256",
    "key": "signs no token that anybody here checks",
    "access-token-duration": 600,
    "refresh-token-duration": 1_209_600,
    "code-duration": 600,
    "refresh-token-rolling": True,
    "refresh-token-one-use": "always",
    "allow-non-oidc": True,
    "auth-type-code-enabled": True,
    "auth-type-client-enabled": True,
    "auth-type-refresh-enabled": True,
    "pkce-allowed": True,
    "pkce-required": True,
    "introspection-revocation-allowed": True,
    "introspection-revocation-allow-target-client": True,
    "subject-type": "public",
}
CLIENT = {
    "client_id": "web app",
    "name": "web app",
    "confidential": True,
    "client_secret": SECRET,
    "authorization_type": ["code", "refresh_token", "client_credentials"],
    "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"],
    "scope": ["read"],
    "enabled": True,
}
SCOPE = {"name": "read", "display_name": "read", "description": "read", "password_required": True, "scheme": {}}
CONFIGURATION = """
port={port}
bind_address="127.0.0.1"
external_url="{url}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="/usr/lib/glewlwyd/user"
client_module_path="/usr/lib/glewlwyd/client"
user_auth_scheme_module_path="/usr/lib/glewlwyd/scheme"
plugin_module_path="/usr/lib/glewlwyd/plugin"
hash_algorithm="SHA512"
database = {{ type = "sqlite3"; path = "{folder}/db"; }};
"""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Glewlwyd, set up, as long as the block runs. Its URL."""
    assert PROGRAM is not None
    port = free_port()  # it takes none of its own choice; should somebody be faster, its log says so
    url = f"http://127.0.0.1:{port}"
    with sqlite3.connect(folder / "db") as tables:
        tables.executescript(TABLES.read_text())
    tables.close()
    (folder / "conf").write_text(CONFIGURATION.format(port=port, url=url, folder=folder))
    command = [PROGRAM, f"--config-file={folder}/conf"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            until(lambda: _listens(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            asyncio.run(_set_up(url))
            yield url
        finally:
            process.kill()


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port)):
        return True


def browser() -> aiohttp.ClientSession:
    """Somebody who can sign in there."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def _told(session: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any]) -> None:
    async with session.request(method, url, json=body) as response:
        assert response.status == 200, (url, await response.text())


async def _set_up(url: str) -> None:
    async with browser() as admin:
        await _told(admin, "POST", f"{url}/api/auth/", {"username": "admin", "password": "password"})
        plugin = {"name": "oidc", "module": "oidc", "display_name": "oidc"}
        await _told(
            admin, "POST", f"{url}/api/mod/plugin/", {**plugin, "parameters": {**PLUGIN, "iss": f"{url}/api/oidc"}}
        )
        await _told(admin, "POST", f"{url}/api/scope/", SCOPE)
        await _told(admin, "POST", f"{url}/api/user/", {**USER, "enabled": True, "scope": ["read", "openid"]})
        await _told(admin, "POST", f"{url}/api/client/", {**CLIENT, "redirect_uri": [f"{url}/callback"]})


async def consented(url: str, credential: Credential) -> dict[str, str]:
    """Sign in, say yes, and the callback's parameters."""
    page = await credential.authorization_url(f"{url}/callback")
    async with browser() as ada:
        await _told(ada, "POST", f"{url}/api/auth/", USER)
        await _told(ada, "PUT", f"{url}/api/auth/grant/{CLIENT['client_id']}", {"scope": "read"})
        # As its login page does once both are said.
        async with ada.get(f"{page}&g_continue", allow_redirects=False) as response:
            where = response.headers["Location"]
    assert where.startswith(f"{url}/callback?"), where
    return dict(parse_qsl(urlsplit(where).query))
