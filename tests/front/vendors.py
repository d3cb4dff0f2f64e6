"""The vendors as an app registers them, at the sandbox; and their users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkauth import Linkkit, LinkXG, LinkXGUser, OAuth2, SageX3

if TYPE_CHECKING:
    from linkauth import Credential, Token, Vendor
    from linkauth.sandbox import Sandbox

REDIRECT = "http://127.0.0.1:1/callback"
KINDS = {"LinkXG": LinkXG, "LinkXGUser": LinkXGUser, "Linkkit": Linkkit, "SageX3": SageX3, "OAuth2": OAuth2}
ALL = [*KINDS]


class Vendors:
    """``arguments[name]`` makes a vendor in any process; ``make`` does it here."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        xg, kit, sage, generic = sandbox.linkxg, sandbox.linkkit, sandbox.sagex3, sandbox.oauth2

        def client(part: Any) -> dict[str, Any]:
            return {"client_id": part.client_id, "client_secret": part.client_secret}

        self.arguments: dict[str, dict[str, Any]] = {
            "LinkXG": {**client(xg), "base_url": xg.base_url, "scope": "products:read"},
            "LinkXGUser": {"base_url": xg.base_url},
            "Linkkit": {**client(kit), "base_url": kit.base_url, "scope": "links"},
            "SageX3": {**client(sage), "base_url": sage.base_url, "customer": sage.customer},
            "OAuth2": {
                **client(generic),
                "name": "acme",
                "scope": "read",
                "api_url": generic.api_url,
                "token_url": generic.token_url,
                "authorize_url": generic.authorize_url,
                "revoke_url": generic.revoke_url,
            },
        }

    def make(self, name: str, **more: Any) -> Vendor:
        return KINDS[name](**{**self.arguments[name], **more})

    def part(self, name: str) -> Any:
        """The sandbox's side of it."""
        return self.sandbox.parts[name.removesuffix("User").lower()]

    async def callback(self, credential: Credential) -> dict[str, str]:
        """What comes back from a user who was asked and accepted."""
        name = "OAuth2" if credential.vendor.name == "acme" else type(credential.vendor).__name__
        return dict(self.part(name).consent(await credential.authorization_url(REDIRECT)).params)

    async def connect(self, credential: Credential) -> Token:
        """A token, however the vendor gives its first one."""
        if isinstance(credential.vendor, LinkXGUser):
            xg = self.sandbox.linkxg
            return await credential.login(email=xg.email, password=xg.password)
        if not credential.vendor.needs_user:
            return await credential.token()
        return await credential.complete(await self.callback(credential))
