"""A vendor of the sandbox that asks its user: ``await sandbox.linkkit.connect(engine, "ada")`` is all that Ada does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from linkauth.sandbox.part import Registration, Vendor

if TYPE_CHECKING:
    from linkauth.front import AuthEngine, Credential
    from linkauth.sandbox.consent import Callback
    from linkauth.vendors.vendor import Vendor as AtVendor

__all__ = ["Connecting", "Redirecting"]


@attrs.define(kw_only=True)
class Redirecting(Registration):
    """What the settings of such a vendor have: where it sends its users back to."""

    redirect_uris: list[str]


R = TypeVar("R", bound=Redirecting)


class Connecting(Vendor[R]):
    """A vendor whose user accepts or refuses."""

    def vendor(self, **more: Any) -> AtVendor:
        """The registered client, as an app has it; ``more`` are further arguments of its class."""
        raise NotImplementedError

    def consent(self, url: str) -> Callback:
        """Be the user who was sent to ``url`` and accepts."""
        raise NotImplementedError

    async def connect(self, engine: AuthEngine, account: str = "default", **more: Any) -> Credential:
        """``account`` sent to the vendor, and back with consent: its credential, at ``vendor(**more)``. Raises what ``complete`` does."""
        credential = engine.credential(self.vendor(**more), account)
        url = await credential.authorization_url(self.settings.redirect_uris[0])
        await credential.complete(self.consent(url).params)
        return credential
