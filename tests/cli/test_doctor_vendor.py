"""``linkauth doctor`` with a registration: whether the vendor is reached, and whether it takes the stored token."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from linkauth import AuthEngine
from linkauth.cli import doctor
from linkauth.cli.parser import parser
from linkauth.sandbox import Sandbox
from tests.cli.conftest import TELLING, Ran, ran, run
from tests.cli.test_copy import ACME
from tests.cli.test_doctor import advised
from tests.loopback import closed_port, raw, response
from tests.servers import certificates
from tests.transport.tunnel import tunnel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.blocking

SECRET = "canary-client-secret"


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: str) -> Any:
    """Run ``linkauth doctor`` on ``store`` in this loop, with arguments and an environment."""
    for name in [name for name in os.environ if name.startswith(TELLING) or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)

    async def looked(*arguments: str, **env: str) -> Ran:
        for name, value in {"LINKAUTH_CLIENT_SECRET": SECRET, **env}.items():
            monkeypatch.setenv(name, value)
        whole = ["doctor", "--store", store, *arguments]
        capsys.readouterr()
        status = await doctor.run(parser().parse_args(whole))
        return ran(whole, status, *capsys.readouterr())

    return looked


@pytest.fixture
async def engine(store: str) -> Any:
    """On a store that somebody has used."""
    async with AuthEngine(store) as opened:
        await opened.credential(ACME, "ada").adopt(refresh_token="rt-ada", access_token="at-ada")
        yield opened


async def test_a_vendor_that_takes_the_token(look: Any, engine: AuthEngine) -> None:
    """It is reached, without a token request; the stored token is good, then expired, then one that it does not know."""
    async with Sandbox() as sandbox:
        credential = await sandbox.linkkit.connect(engine, "ada")
        before = (await credential.token()).access_token
        how = [
            "linkkit",
            "--account",
            "ada",
            "--client-id",
            sandbox.linkkit.client_id,
            "--base-url",
            sandbox.linkkit.base_url,
        ]
        requests = dict(sandbox.linkkit.counts)
        ended = await look(*how)
        assert "linkkit: 127.0.0.1 answers, in " in ended.well()
        assert "linkkit/ada: its token, good for another 60 min, is taken (GET /v1/auth/test)" in ended.out
        assert before not in ended.out
        assert sandbox.linkkit.counts.get("token", 0) == requests.get("token", 0)
        sandbox.linkkit.tokens.revoke_access()
        ended = await look(*how)
        assert ended.status == 1
        assert "is not taken (GET /v1/auth/test: HTTP 401)" in advised(ended)[0]
        assert "→ `linkauth refresh`" in ended.out
        ended = await look(*how[:2], "nobody", *how[3:])
        assert advised(ended) == ["linkkit/nobody: no session of this registration lives in the store"]
    ended = await look(*how)
    assert "linkkit is not reached: 127.0.0.1: no connection came about (Connection refused)" in advised(ended)[0]
    assert "$HTTPS_PROXY" in ended.out


async def test_by_the_proxy_that_is_set(look: Any, store: str, engine: AuthEngine, tmp_path: Path) -> None:
    """TLS to the vendor through the proxy's tunnel, and the proxy is named; one that refuses is named too, with its reason."""
    folder = certificates(tmp_path / "certificates", "vendor.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    how = ["oauth2", "--client-id", "c", "--token-url", "https://vendor.example/token"]

    async def says(server: Any, reader: Any, writer: Any) -> None:
        while await server.request(reader):
            writer.write(response(b"", "404 Not Found"))

    async with raw(says, tls=context) as vendor:
        async with raw(tunnel(vendor.port)) as proxy:
            # A process of its own: whom it trusts is read when aiohttp is imported.
            env = {
                "LINKAUTH_STORE": store,
                "LINKAUTH_CLIENT_SECRET": SECRET,
                "HTTPS_PROXY": proxy.url,
                "https_proxy": proxy.url,
            }
            ended = await asyncio.to_thread(
                run, "doctor", *how, **env, NO_PROXY="", SSL_CERT_FILE=str(folder / "ca.pem")
            )
        assert f"oauth2: vendor.example answers over TLS by the proxy 127.0.0.1:{proxy.port}, in " in ended.well()
        assert len(vendor.heard) == 1
        assert vendor.heard[0].startswith(b"HEAD / HTTP/1.1\r\n")
        assert SECRET.encode() not in vendor.heard[0]
    async with raw(tunnel(closed_port(), "Basic other")) as proxy:
        ended = await look(*how, HTTPS_PROXY=proxy.url.replace("://", "://user:canary-password@"))
    assert "it refuses the user or password in its URL (HTTP 407)" in advised(ended)[0]


async def test_a_registration_that_is_none(look: Any, engine: AuthEngine) -> None:
    """It is told after what is said of the store, with what is missing; without one the store alone is looked at."""
    ended = await look("linkkit")
    assert advised(ended) == ["no vendor is looked at: linkkit: give --client-id or set $LINKAUTH_CLIENT_ID"]
    assert "the store can be written" in ended.out
    assert "linkkit" not in (await look()).well()


async def test_the_app_knows_the_vendor(
    look: Any, engine: AuthEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--vendor-of``: the vendor of the stored session of that account."""
    (tmp_path / "looked_after.py").write_text("from tests.cli.test_copy import ACME\nvendor_of = lambda status: ACME\n")
    monkeypatch.syspath_prepend(tmp_path)
    ended = await look("--vendor-of", "looked_after:vendor_of", "--account", "ada", HTTPS_PROXY="")
    assert "acme is not reached: acme.example: " in advised(ended)[0]
    assert "acme/ada: a session is stored" in ended.out
