"""``python -m benchmarks.between PYTHON [--rounds N]``: this linkauth against another one, which ``PYTHON`` has installed.

For before and after: a worktree of the earlier commit with a venv of its own. Both sides are processes of this file that are
asked in turn, so that whatever else the machine does is done to both. What is compared is processor time; no vendor and no
socket is asked. A ratio above 1: this one is slower. Between the two in brackets lie half of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import itertools
import json
import subprocess
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any
from unittest import mock

from linkauth import AuthEngine, LinkXGUser, OAuth2, transport
from linkauth.oauth.exchange import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CALLS = {"hit": 50_000, "storm": 10_000, "renewal": 300, "rotating renewal": 300}
"""Each: calls of ``token()`` with a token in memory, tasks without one, renewals on ``memory:``."""


async def _sides() -> dict[str, Callable[[int], Awaitable[None]]]:
    """What is measured, by this process's linkauth. Only what both have is used."""
    numbers = itertools.count()

    async def send(_self: object, request: Any, _seconds: float) -> Response:
        number = next(numbers)
        if request.url.endswith("/token"):
            body: dict[str, Any] = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 900}
        else:
            claims = base64.urlsafe_b64encode(json.dumps({"iat": 0, "exp": 900, "n": number}).encode()).rstrip(b"=")
            body = {"success": True, "data": {"accessToken": f"x.{claims.decode()}.x", "refreshToken": f"r-{number}"}}
        return Response(status=200, headers={"content-type": "application/json"}, body=json.dumps(body).encode())

    mock.patch.object(transport.Transport, "send", send).start()  # for as long as this process lives
    engine = AuthEngine("memory:")
    vendor = OAuth2(name="vendor", client_id="shop", client_secret="s", token_url="https://vendor.example/token")
    held, user = engine.credential(vendor, "held"), engine.credential(LinkXGUser())
    await held.token()
    await user.login(email="ada@example.com", password="p")

    async def hit(calls: int) -> None:
        for _ in range(calls):
            await held.token()

    async def storm(calls: int) -> None:
        credential = engine.credential(vendor, f"account {next(numbers)}")
        await asyncio.gather(*(credential.token() for _ in range(calls)))

    async def renewal(calls: int) -> None:
        for _ in range(calls):
            await held.refresh()

    async def rotating(calls: int) -> None:
        for _ in range(calls):
            await user.refresh()

    return {"hit": hit, "storm": storm, "renewal": renewal, "rotating renewal": rotating}


async def _side() -> None:
    """A name by standard input, the processor's seconds for each call by standard output; until the input ends."""
    sides = await _sides()
    while name := sys.stdin.readline().strip():
        gc.collect()  # so that neither pays for what the measurement before has left
        begun = time.process_time()
        await sides[name](CALLS[name])
        print((time.process_time() - begun) / CALLS[name], flush=True)


class _Other:
    """A process of one side."""

    def __init__(self, python: str) -> None:
        command = [python, __file__, "--side", python]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str) -> float:
        """Seconds for each call."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(python: str, rounds: int) -> None:
    this, that = _Other(sys.executable), _Other(python)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CALLS}
    for turn in range(rounds + 1):
        for name in CALLS:
            first, second = (this, that) if turn % 2 else (that, this)
            took = {first: first.ask(name), second: second.ask(name)}
            if turn:  # the first is for warming up
                found[name].append((took[this], took[that]))
    for name, pairs in found.items():
        ratios = [ours / theirs for ours, theirs in pairs]
        low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        best = [1e6 * min(side) for side in zip(*pairs, strict=True)]
        print(
            f"{name:<17} {median(ratios):5.2f} ({low:.2f} to {high:.2f})  {best[0]:8.2f} µs against {best[1]:8.2f} µs"
        )
    this.end()
    that.end()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.between", description=__doc__)
    parser.add_argument("python", help="the other side's interpreter")
    parser.add_argument("--rounds", type=int, default=15, help="each side is run so often, in turn (default 15)")
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        asyncio.run(_side())
    else:
        compare(given.python, given.rounds)


if __name__ == "__main__":
    main()
