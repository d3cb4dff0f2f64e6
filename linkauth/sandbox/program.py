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

__all__ = ["describe", "main", "serve", "summary"]

PORT = 8765
CALLBACK = "http://127.0.0.1:8080/callback"


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


def describe(sandbox: Sandbox) -> str:
    """What to type to try each vendor: by linkauth, and by curl. It shows the test clients' secrets: they guard nothing."""
    xg, kit, sage, generic = sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2
    pairing = {
        "client_id": sage.client_id,
        "scope": "businessDomain.ALL api.graphQL",
        "customer": sage.customer,
        "redirect_uri": CALLBACK,
        "state": "1234",
    }
    consent = {"response_type": "code", "client_id": kit.client_id, "redirect_uri": CALLBACK, "state": "1234"}
    user = json.dumps({"email": xg.email, "password": xg.password})
    linkauth = [
        ("linkxg", f"LINKAUTH_CLIENT_SECRET={xg.client_secret} linkauth token linkxg", xg, "--scope products:read"),
        ("linkxg-user", f"LINKAUTH_PASSWORD={xg.password} linkauth connect linkxg-user", None, f"--email {xg.email}"),
        ("linkkit", f"LINKAUTH_CLIENT_SECRET={kit.client_secret} linkauth connect linkkit", kit, ""),
        (
            "sagex3",
            f"LINKAUTH_CLIENT_SECRET={sage.client_secret} linkauth connect sagex3",
            sage,
            f"--customer {sage.customer}",
        ),
        (
            "oauth2",
            f"LINKAUTH_CLIENT_SECRET={generic.client_secret} linkauth connect oauth2",
            generic,
            f"--issuer {generic.issuer}",
        ),
    ]
    curl = {
        "linkxg": f"curl {xg.base_url}/oauth/token -d grant_type=client_credentials -d client_id={xg.client_id} "
        f"-d client_secret={xg.client_secret} -d scope=products:read",
        "linkxg-user": f"curl {xg.base_url}/auth/login --json '{user}'",
        "linkkit": f"open in a browser: {kit.base_url}/oauth/authorize?{urlencode(consent)}",
        "sagex3": f"open in a browser: {sage.base_url}/token/authorise?{urlencode(pairing)}",
        "oauth2": f"curl {generic.token_url} -d grant_type=client_credentials -d scope=read "
        f"-u {generic.client_id}:{generic.client_secret}",
    }
    lines = [f"The sandbox is at {sandbox.url} (counters, and what waits for an answer). Ctrl-C ends it.", ""]
    for name, command, part, more in linkauth:
        base = (part or xg).base_url
        client = f" --client-id {part.client_id}" if part else ""
        lines += [name, f"  {command} --base-url {base}{client} {more}".rstrip(), f"  {curl[name]}", ""]
    control = '{"linkxg": {"faults": [{"endpoint": "token", "status": 500, "times": 3}]}}'
    lines += ["a fault, on purpose", f"  curl {sandbox.url}/_control --json '{control}'"]
    return "\n".join(lines)


async def serve(host: str = "127.0.0.1", port: int = PORT, *, as_json: bool = False, **options: Any) -> None:
    """Run the sandbox until SIGINT or SIGTERM. Once it listens it prints ``describe``, or ``summary`` in one line.

    ``options``: as for ``Sandbox``. Any redirect URI on this machine is registered, unless the options say otherwise.
    """
    for name in ("linkkit", "sagex3", "oauth2"):
        options[name] = {"loopback_redirects": True, **options.get(name, {})}
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Sandbox(host=host, port=port, **options) as sandbox:
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, stopped.set)
        print(json.dumps(summary(sandbox)) if as_json else describe(sandbox), flush=True)
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
