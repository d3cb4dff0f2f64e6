"""The sandbox as a program: ``linkauth sandbox``, ``python -m linkauth.sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from linkauth.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from linkauth.sandbox.linkkit import Linkkit
    from linkauth.sandbox.linkxg import LinkXG
    from linkauth.sandbox.oauth2 import OAuth2
    from linkauth.sandbox.sagex3 import SageX3

__all__ = ["commands", "describe", "main", "serve", "summary"]

PORT = 8765
CALLBACK = "http://127.0.0.1:8766/callback"


def summary(sandbox: Sandbox) -> dict[str, Any]:
    """Where everything is and the test clients' secrets, for a parent process to read. As JSON it is one line."""
    xg, kit, sage, generic = sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2
    parts: dict[str, Any] = {
        part.name: {"base_url": part.base_url, "client_id": part.client_id, "client_secret": part.client_secret}
        for part in (xg, kit, sage, generic)
    }
    parts["linkxg"] |= {"email": xg.email, "password": xg.password}
    parts["sagex3"] |= {"customer": sage.customer, "region_url": sage.region_url}
    parts["oauth2"] |= {"issuer": generic.issuer, "public_client_id": generic.settings.public_client_id}
    return {"url": sandbox.url, "elsewhere": sandbox.elsewhere.base_url, **parts}


def describe(sandbox: Sandbox, program: str = "linkauth") -> str:
    """What to type to try each vendor, by linkauth and without. It shows the test secrets, which guard nothing.

    ``program``: how the command ``linkauth`` is called here.
    """
    lines = [
        f"The sandbox is at {sandbox.url} (counters, and what waits for an answer). Ctrl-C ends it.",
        "In another terminal, first of all:",
        "",
        "  export LINKAUTH_STORE=file:$(mktemp -d)",
    ]
    by_curl = _by_curl(sandbox)
    for vendor, command in commands(sandbox, program).items():
        lines += ["", vendor, f"  {command}", f"  {by_curl[vendor]}"]
    control = '{"linkxg": {"faults": [{"endpoint": "token", "status": 500, "times": 3}]}}'
    lines += ["", "how they are all doing", f"  {program} status"]
    return "\n".join([*lines, "", "a fault, on purpose", f"  curl {sandbox.url}/_control --json '{control}'"])


def commands(sandbox: Sandbox, program: str = "linkauth") -> dict[str, str]:
    """linkauth's command line for each vendor."""
    xg, kit, sage, generic = sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2
    user = f"LINKAUTH_PASSWORD={xg.password} {program} connect linkxg-user --email {xg.email} --base-url {xg.base_url}"

    def with_secret(part: LinkXG | Linkkit | SageX3 | OAuth2, command: str, more: str) -> str:
        return f"LINKAUTH_CLIENT_SECRET={part.client_secret} {program} {command} --client-id {part.client_id} {more}"

    return {
        "linkxg": with_secret(xg, "token linkxg", f"--scope products:read --base-url {xg.base_url}"),
        "linkxg-user": user,
        "linkkit": with_secret(kit, "connect linkkit", f"--base-url {kit.base_url}"),
        "sagex3": with_secret(sage, "connect sagex3", f"--customer {sage.customer} --base-url {sage.base_url}"),
        "oauth2": with_secret(generic, "connect oauth2", f"--scope read --issuer {generic.issuer}"),
    }


def _by_curl(sandbox: Sandbox) -> dict[str, str]:
    xg, kit, sage, generic = sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2
    client = f"-d client_id={xg.client_id} -d client_secret={xg.client_secret}"
    user = json.dumps({"email": xg.email, "password": xg.password})
    back = {"redirect_uri": CALLBACK, "state": "1234"}
    consent = {"response_type": "code", "client_id": kit.client_id, **back}
    pairing = {
        "client_id": sage.client_id,
        "scope": "businessDomain.ALL api.graphQL",
        "customer": sage.customer,
        **back,
    }
    return {
        "linkxg": f"curl {xg.base_url}/oauth/token -d grant_type=client_credentials {client} -d scope=products:read",
        "linkxg-user": f"curl {xg.base_url}/auth/login --json '{user}'",
        "linkkit": f"in a browser: {kit.base_url}/oauth/authorize?{urlencode(consent)}",
        "sagex3": f"in a browser: {sage.base_url}/token/authorise?{urlencode(pairing)}",
        "oauth2": f"curl {generic.token_url} -d grant_type=client_credentials -d scope=read "
        f"-u {generic.client_id}:{generic.client_secret}",
    }


async def serve(
    host: str = "127.0.0.1", port: int = PORT, *, as_json: bool = False, program: str = "linkauth", **options: Any
) -> None:
    """Run the sandbox until SIGINT or SIGTERM. Once it listens it prints ``describe``, or ``summary`` in one line.

    ``program``: as for ``describe``. ``options``: as for ``Sandbox``. Any redirect URI on this machine is registered, unless the options say otherwise.
    """
    for name in ("linkkit", "sagex3", "oauth2"):
        options[name] = {"loopback_redirects": True, **options.get(name, {})}
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Sandbox(host=host, port=port, **options) as sandbox:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, stopped.set)
        print(json.dumps(summary(sandbox)) if as_json else describe(sandbox, program), flush=True)
        await stopped.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m linkauth.sandbox``: exit status 0 when it was asked to stop, 1 when it cannot listen."""
    parser = argparse.ArgumentParser(prog="linkauth sandbox", description="The vendors on loopback, as documented.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT, help="0: any free port (default: %(default)s)")
    parser.add_argument("--separate", action="store_true", help="a port, hence an origin, for each vendor")
    parser.add_argument("--json", action="store_true", help="print where all is, and the test secrets, as one line")
    parser.add_argument("--set", metavar="JSON", default="{}", help='settings: {"linkxg": {"token_lifetime": 2}}')
    given = parser.parse_args(arguments)
    try:
        options = json.loads(given.set)
        asyncio.run(serve(given.host, given.port, as_json=given.json, separate=given.separate, **options))
    except (OSError, TypeError, ValueError) as error:
        print(f"linkauth sandbox: {error}")
        return 1
    return 0
