"""``connect_app`` with a vendor of its own ways: a code of another name, posted, with a parameter that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from linkauth import Dialect, OAuth2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Site, Visitor


@pytest.mark.parametrize("posts", [True, False])
async def test_a_callback_of_the_vendors_own(site: Site, new_visitor: Callable[[], Visitor], posts: bool) -> None:
    """By POST without any cookie where that is stated, else by GET; the parameter stays with the session when it is renewed."""
    linkkit = site.linkkit
    vendor = OAuth2(
        name="own",
        client_id=linkkit.client_id,
        client_secret=linkkit.client_secret,
        token_url=f"{linkkit.base_url}/oauth/token",
        authorize_url=f"{linkkit.base_url}/oauth/authorize",
        scope=linkkit.scope,
        dialect=Dialect(code_name="spapi_oauth_code", keep_params=["realmId"], posts_callback=posts),
    )
    await site.serve(vendor)
    ada, stranger = new_visitor(), new_visitor()
    await ada.sign_in("ada")
    callback = site.sandbox.linkkit.consent(await ada.begin("own"))
    params = {**callback.params, "spapi_oauth_code": callback.params["code"], "realmId": "42"}
    del params["code"]
    refused = await (ada.ask("POST", callback.redirect_uri, data=params) if not posts else ada.get("/own/callback"))
    assert refused.status in {400, 405}
    if posts:
        page = await stranger.ask("POST", callback.redirect_uri, data=params)
    else:
        page = await ada.ask("GET", callback.redirect_uri, params=params)
    assert page.status == 200
    credential = site.engine.credential(vendor, "ada")
    assert (await credential.token()).extra["realmId"] == "42"
    assert (await credential.refresh()).extra["realmId"] == "42"
