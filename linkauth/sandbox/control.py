"""The sandbox's own door: a page of counters, the same as JSON, and settings and faults for other processes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from linkauth.sandbox.faults import Faults
from linkauth.sandbox.pages import page
from linkauth.sandbox.wire import BadRequest, json_answer, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from linkauth.sandbox.part import Part

__all__ = ["Controlled", "apply", "mount"]


class Controlled(Protocol):
    """What the door opens: some vendors, with one clock."""

    @property
    def parts(self) -> Mapping[str, Part[Any]]:
        """The vendors by name."""
        ...

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        ...

    def reset(self) -> None:
        """Forget counters, faults and rate limits."""
        ...

    def counters(self) -> dict[str, dict[str, int]]:
        """What every vendor has seen."""
        ...


def mount(app: web.Application, sandbox: Controlled) -> None:
    """Add ``GET /``, ``GET /counters`` and ``POST /_control``."""

    async def show(_: web.Request) -> web.Response:
        return page("linkauth sandbox", counters_html(sandbox))

    async def counters(_: web.Request) -> web.Response:
        return json_answer(sandbox.counters())

    async def control(request: web.Request) -> web.Response:
        # JSON alone is taken: no page in a browser can send that here without asking first.
        try:
            apply(sandbox, await json_object(request))
        except (BadRequest, ValueError) as error:
            return json_answer({"error": str(error)}, 400)
        return json_answer(sandbox.counters())

    app.router.add_get("/", show)
    app.router.add_get("/counters", counters)
    app.router.add_post("/_control", control)


def apply(sandbox: Controlled, orders: Mapping[str, Any]) -> None:
    """Do what ``orders`` say, in the order of this example. Raises ``ValueError`` for what it does not know.

    ``{"reset": true, "advance": 900, "linkxg": {"clear": true, "settings": {"token_lifetime": 2},
    "faults": [{"endpoint": "token", "status": 500, "times": 3}], "release": "token", "revoke_access": true}}``
    """
    unknown = orders.keys() - {"reset", "advance", *sandbox.parts}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    if orders.get("reset"):
        sandbox.reset()
    sandbox.advance(float(orders.get("advance", 0)))
    for name, part in sandbox.parts.items():
        order: Mapping[str, Any] = orders.get(name, {})
        if strange := order.keys() - {"clear", "settings", "faults", "release", "revoke_access"}:
            raise ValueError(f"unknown for {name}: {', '.join(sorted(strange))}")
        faults = [Faults.read(each) for each in order.get("faults", [])]
        part.configure(order.get("settings", {}))
        if order.get("clear"):
            part.faults.clear()
        if "release" in order:
            part.faults.clear(order["release"])
        for fault in faults:
            part.faults.add(fault)
        if order.get("revoke_access"):
            part.tokens.revoke_access()


def counters_html(sandbox: Controlled) -> str:
    links = {words: url for part in sandbox.parts.values() for words, url in part.links().items()}
    # Read again by hand: a page that reloads itself throws a reader with a screen reader back to its top.
    links["Read the counters again"] = "/"
    tables = [f'<p><a href="{escape(url)}">{escape(words)}</a></p>' for words, url in links.items()]
    for name, part in sandbox.parts.items():
        rows = "".join(
            f'<tr><th scope="row">{escape(what)}</th><td>{count}</td></tr>'
            for what, count in sorted(part.counts.items())
        )
        rows = rows or "<tr><td>nothing yet</td></tr>"
        tables.append(f"<table><caption>{escape(name)} at <code>{escape(part.base_url)}</code></caption>{rows}</table>")
    return "".join(tables)
