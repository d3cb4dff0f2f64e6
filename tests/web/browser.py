"""A real Chromium, driven by plain WebDriver (W3C) over chromedriver's HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Self

import aiohttp

FLAGS = [
    "--headless",
    "--no-sandbox",  # its own sandbox does not start for root, as CI is
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,700",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # WebDriver's name for a reference to an element


def missing() -> str:
    """Which program is missing, in words; empty where none is."""
    wanted = ("chromium", "chromedriver")
    lacking = [name for name in wanted if shutil.which(name) is None]
    return (
        f"{' and '.join(lacking)} not on this machine (Debian: apt install chromium chromium-driver)" if lacking else ""
    )


class Browser:
    """One Chromium with a profile of its own. Every wait ends after 10 s with an ``AssertionError``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._driver: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._base = ""

    async def __aenter__(self) -> Self:
        try:
            port = await self._start()
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
            options = {"args": [*FLAGS, f"--user-data-dir={self._folder / 'profile'}"]}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options}
            self._base = f"http://127.0.0.1:{port}"
            made = await self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._base += f"/session/{made['sessionId']}"
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if "/session/" in self._base:
            await self._ask("DELETE", "")
        if self._http is not None:
            await self._http.close()
        if self._driver is not None:
            if self._driver.returncode is None:
                self._driver.terminate()
            await self._driver.wait()

    async def _start(self, tries: int = 3) -> int:
        """Start the driver; its port. It looks for a free one twice, for IPv4 and IPv6: another may come in between."""
        # Into a file: a full pipe would stop it. Its own home, so that nothing is read from, or left in, the user's.
        log = self._folder / "chromedriver.log"
        with log.open("wb") as output:
            self._driver = await asyncio.create_subprocess_exec(
                "chromedriver", "--port=0", stdout=output, stderr=output, env={**os.environ, "HOME": str(self._folder)}
            )
        async with asyncio.timeout(20):
            while self._driver.returncode is None:
                if found := re.search(r"started successfully on port (\d+)", log.read_text()):
                    return int(found[1])
                await asyncio.sleep(0.02)
        assert tries > 1, log.read_text()
        return await self._start(tries - 1)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        assert self._http is not None
        data = json.dumps(body or {}) if method == "POST" else None
        async with self._http.request(method, self._base + path, data=data) as response:
            value = (await response.json())["value"]
            assert response.status == 200, value
        return value

    async def open(self, url: str) -> None:
        """Go to ``url``, and wait until the page is there."""
        await self._ask("POST", "/url", {"url": url})

    async def url(self) -> str:
        """Where the browser is."""
        return str(await self._ask("GET", "/url"))

    async def text(self, css: str) -> str:
        """What people read in the first element that ``css`` selects."""
        return str(await self._ask("GET", f"/element/{await self._find(css)}/text"))

    async def click(self, css: str) -> None:
        """Click the first element that ``css`` selects, and wait for the page that follows."""
        await self._ask("POST", f"/element/{await self._find(css)}/click")

    async def reload(self) -> None:
        """The reload button."""
        await self._ask("POST", "/refresh")

    async def wait_for(self, title: str) -> None:
        """Wait until the page's title holds ``title``."""
        end = asyncio.get_running_loop().time() + 10
        while True:
            now = str(await self._ask("GET", "/title"))
            if title in now:
                return
            assert asyncio.get_running_loop().time() < end, now
            await asyncio.sleep(0.02)

    async def cookies(self) -> dict[str, dict[str, Any]]:
        """The cookies that this page's site has set."""
        return {cookie["name"]: cookie for cookie in await self._ask("GET", "/cookie")}

    async def run(self, script: str) -> Any:
        """The value that ``script`` returns, run in the page from outside (its policy does not bind it)."""
        return await self._ask("POST", "/execute/sync", {"script": script, "args": []})

    async def look_like(self, *, width: int, scheme: str) -> None:
        """Be ``width`` pixels wide, as a phone is, and prefer the ``scheme`` "light" or "dark"."""
        screen = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": True}
        await self._devtools("Emulation.setDeviceMetricsOverride", screen)
        prefers = [{"name": "prefers-color-scheme", "value": scheme}]
        await self._devtools("Emulation.setEmulatedMedia", {"features": prefers})

    async def _devtools(self, command: str, params: dict[str, Any]) -> None:
        await self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    async def picture(self, path: Path) -> None:
        """A PNG of what the window shows."""
        path.write_bytes(base64.b64decode(await self._ask("GET", "/screenshot")))

    async def _find(self, css: str) -> str:
        return str((await self._ask("POST", "/element", {"using": "css selector", "value": css}))[ELEMENT])
