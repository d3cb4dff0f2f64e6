"""``connect_app`` at a second consent that brings no refresh token, by somebody else at the vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linkauth import OAuth2

if TYPE_CHECKING:
    from tests.web.conftest import Site, Visitor


async def test_the_page_says_what_goes_on(site: Site, ada: Visitor) -> None:
    """Nobody's mistake at the app: the page says that what was connected before goes on, and so it does."""
    server = site.sandbox.oauth2
    server.settings.loopback_redirects, server.settings.refresh_at_each_consent = True, False
    vendor = OAuth2(
        name="own",
        client_id=server.client_id,
        client_secret=server.client_secret,
        token_url=server.token_url,
        authorize_url=server.authorize_url,
        scope="openid",
    )
    await site.serve(vendor)
    theirs = site.engine.credential(vendor, "bob")
    server.settings.subject = "bob"
    await theirs.complete(server.consent(await theirs.authorization_url(f"{site.url}/callback")).params)
    server.settings.subject = "ada"
    await ada.sign_in("ada")
    assert (await ada.get(server.consent(await ada.begin("own")).url)).status == 200
    before = await site.engine.credential(vendor, "ada").token()
    server.settings.subject = "bob"
    page = await ada.get(server.consent(await ada.begin("own")).url)
    assert page.status == 409
    assert "What was connected before goes on" in page.text
    assert await site.engine.credential(vendor, "ada").token() == before
