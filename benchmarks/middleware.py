"""A request with the middleware, beside one of bare aiohttp that was given the same header."""

from __future__ import annotations

from aiohttp import ClientSession, web

from benchmarks.measure import Row, best, ratio
from linkauth import AuthEngine, OAuth2

CALLS = 300


async def _token(_: web.Request) -> web.Response:
    return web.json_response({"access_token": "t" * 900, "token_type": "Bearer", "expires_in": 900})


async def _answer(_: web.Request) -> web.Response:
    return web.json_response({"data": "x" * 1000})


async def run(rounds: int) -> list[Row]:
    app = web.Application()
    app.router.add_post("/token", _token)
    app.router.add_get("/api", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with AuthEngine("memory:") as engine:
            vendor = OAuth2(name="bench", client_id="a", client_secret="b", token_url=f"{url}/token")
            credential = engine.credential(vendor)
            headers = {"Authorization": (await credential.token()).authorization}
            async with credential.session() as signed, ClientSession(headers=headers) as bare:

                def caller(session: ClientSession):
                    async def call(calls: int) -> None:
                        for _ in range(calls):
                            async with session.get(f"{url}/api") as response:
                                await response.read()

                    return call

                few = CALLS if rounds > 1 else 3
                found = await best(rounds, few, ours=caller(signed), bare=caller(bare))
    finally:
        await runner.cleanup()
    # The server runs in this process too, and is half of the work: what is asked is how much more a request costs.
    extra = found["ours"] - found["bare"]
    row = ratio("a request through the middleware", found["ours"], found["bare"], "than bare aiohttp, server included")
    return [row, Row("the middleware alone", f"{1e6 * extra:.0f} µs", "the difference, of processor time")]
