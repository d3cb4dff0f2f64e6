"""A callback that is delivered twice: answered twice, acted on once, and shown to nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from linkauth import Credential
from linkauth.sandbox import Sandbox
from linkauth.web.deliveries import Deliveries
from linkauth.web.landing import CONNECTED, USED
from linkauth.web.outcome import Outcome
from tests.web.conftest import Site, Visitor


async def test_delivered_again(site: Site, ada: Visitor) -> None:
    """A reload of the landing page says that all is well; nothing is exchanged twice."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    pages = [await ada.get(callback) for _ in range(3)]
    assert [(page.status, "Connected to Linkkit" in page.text) for page in pages] == [(200, True)] * 3
    assert site.sandbox.linkkit.counts["token_requests"] == 1


async def test_another_persons_answer_is_not_shown(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """The page that Ada's callback had is not for Eve, should she get hold of the URL."""
    await site.serve()
    ada, eve = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    await eve.sign_in("eve")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    assert (await ada.get(callback)).status == 200
    assert (await eve.get(callback)).status == 400


async def test_answers_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last answers are remembered, however many come."""
    monkeypatch.setattr("linkauth.web.deliveries.REMEMBERED", 2)
    deliveries, connected = Deliveries(), Outcome(landing=CONNECTED)
    for which in (b"1", b"2", b"3"):
        with deliveries.first(which) as answer:
            answer.set_result(connected)
    assert [await deliveries.earlier(which) for which in (b"1", b"2", b"3")] == [None, connected, connected]


async def test_first_delivery_that_is_cut_off() -> None:
    """Whoever waits for a delivery that was cancelled hears that the state was used; nobody hangs."""
    deliveries = Deliveries()
    entered = asyncio.Event()

    async def act() -> None:
        with deliveries.first(b"1"):
            entered.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(act())
    await entered.wait()
    second = asyncio.create_task(deliveries.earlier(b"1"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Outcome(landing=USED)
    assert await deliveries.earlier(b"1") is None


async def test_delivered_again_while_the_first_runs(site: Site, ada: Visitor) -> None:
    """A double click: both get the page of the one that was acted on."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("linkkit")).url
    with site.sandbox.linkkit.hold("token") as held:
        first = asyncio.create_task(ada.get(callback))
        await held.arrived()
        second = asyncio.create_task(ada.get(callback))
        await asyncio.wait({second}, timeout=0.05)
        assert not second.done()
    pages = await asyncio.gather(first, second)
    assert [(page.status, "Connected" in page.text) for page in pages] == [(200, True)] * 2
    assert site.sandbox.linkkit.counts["token_requests"] == 1


async def test_delivered_again_to_another_process(site: Site, ada: Visitor, sandbox: Sandbox) -> None:
    """Who does not know of the first delivery says that it was used or has expired, and what to do."""
    await site.serve()
    await ada.sign_in("ada")
    callback = sandbox.linkkit.consent(await ada.begin("linkkit")).url
    other = Site(sandbox, site.engine, type(site.framework)())
    try:
        await other.serve()
        assert (await ada.get(callback)).status == 200
        page = await ada.get(callback.replace(site.url, other.url))
    finally:
        await other.aclose()
    assert (page.status, "used already" in page.text) == (400, True)
    assert "If Linkkit is connected by now, all is well" in page.text
    assert sandbox.linkkit.counts["token_requests"] == 1


async def test_double_delivery_of_a_post(site: Site, ada: Visitor) -> None:
    """Sage's POST twice at once: one exchange, and two pages that say the same."""
    await site.serve()
    await ada.sign_in("ada")
    callback = site.sandbox.sagex3.consent(await ada.begin("sagex3"))
    pages = await asyncio.gather(
        *(ada.ask("POST", callback.redirect_uri, data=callback.params) for _ in range(2)),
    )
    assert [page.status for page in pages] == [200, 200]
    assert site.sandbox.sagex3.counts["token_requests"] == 1


async def test_on_connected_at_a_double_click(site: Site, new_visitor: Callable[[], Visitor]) -> None:
    """Each delivery has the app's own answer, by GET and by POST; a stranger with the URL has the plain page."""

    def after(request: Any, credential: Credential) -> Any:
        return site.framework.response(status=303, location=f"/home/{credential.account}")

    await site.serve(on_connected=after)
    ada, stranger = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    linkkit, sage = site.sandbox.linkkit, site.sandbox.sagex3
    url, posted = linkkit.consent(await ada.begin("linkkit")).url, sage.consent(await ada.begin("sagex3"))
    for part, deliver in (
        (linkkit, lambda: ada.get(url)),
        (sage, lambda: ada.ask("POST", posted.redirect_uri, data=posted.params)),
    ):
        with part.hold("token") as held:
            first = asyncio.create_task(deliver())
            await held.arrived()
            second = asyncio.create_task(deliver())
        pages = [*await asyncio.gather(first, second), await deliver()]
        assert [(page.status, page.headers.get("Location")) for page in pages] == [(303, "/home/ada")] * 3
        assert part.counts["token_requests"] == 1
    strict = linkkit.consent(await ada.begin("linkkit")).url
    ada.session.cookie_jar.clear(lambda cookie: cookie.key == "who")
    assert (await ada.get(strict)).status == 303
    assert (await stranger.get(strict)).status == 200
