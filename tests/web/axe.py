"""axe-core, run in the page that a browser shows: what it finds there, and whether the page is wider than the screen.

The file comes with axe-playwright-python (the extra ``foreign``); nothing is fetched when the tests run.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

from tests.web import browser
from tests.web.browser import Browser

PACKAGE = "axe_playwright_python"
RUN = """
return axe.run(document, {rules: {'target-size': {enabled: true}}}).then(
    found => JSON.stringify([...found.violations, ...found.incomplete].flatMap(
        rule => rule.nodes.map(node => `${rule.id}: ${node.html}: ${node.failureSummary}`))))
"""
TOO_WIDE = """
const wide = document.documentElement.scrollWidth;
return wide > screen.width ? [`${wide} px on a screen of ${screen.width} px`] : []; // innerWidth grows with it
"""


def missing() -> str:
    """What is missing, in words; empty where nothing is."""
    no_axe = "" if find_spec(PACKAGE) else f"{PACKAGE} (pip install axe-playwright-python)"
    return " and ".join(filter(None, [browser.missing(), no_axe]))


def source() -> str:
    """axe-core itself, which its policy keeps from no page: it is put there from outside."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name("axe.min.js").read_text()


async def wrong(shown: Browser, axe: str) -> list[str]:
    """Whatever is wrong with the page that the browser shows, or may be: what axe cannot tell counts, too. ``axe``: its ``source``."""
    if not await shown.run("return 'axe' in window"):
        await shown.run(axe)
    found = json.loads(await shown.run(RUN))
    return found + await shown.run(TOO_WIDE)
