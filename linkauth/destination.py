"""Which requests a token goes out with, and where they go: the same for every HTTP client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from linkauth.errors import LinkAuthError
from linkauth.vendors.vendor import origin

if TYPE_CHECKING:
    from linkauth.engine.credential import Credential
    from linkauth.oauth.token import Token
    from linkauth.vendors.vendor import Vendor

__all__ = ["destination", "heard", "serves"]

TOO_MANY: Final = 429
SERVER_ERROR: Final = 500


def destination(vendor: Vendor, token: Token, url: str) -> str | None:
    """Where a request to ``url`` goes with ``token``: what is below the vendor's root to the endpoint that the token names.

    None: it is not the vendor's, and gets no token. Raises ``UntrustedEndpoint``.
    """
    root, endpoint = vendor.api(None), vendor.api(token)
    if url.startswith(f"{root}/"):
        url = endpoint + url[len(root) :]
    return url if origin(url) == origin(endpoint) else None


async def serves(credential: Credential, where: tuple[str, str, int]) -> bool:
    """Whether ``where`` is the vendor's, or named by the token. Another origin's request must not fail of that."""
    vendor = credential.vendor
    if not vendor.may_serve(where):  # what cannot be the vendor's is not held up by it, nor by the store
        return False
    if where == origin(vendor.api(None)):
        return True
    try:
        # An endpoint that is not believed makes no origin the vendor's.
        return where == origin(vendor.api(credential.replica.state.token or await credential.token()))
    except LinkAuthError:
        return False


def heard(credential: Credential, token: Token, status: int) -> None:
    """What an answer says of ``token``. A gateway's, or that there were too many, may come before anybody looks at it."""
    if status in credential.vendor.expired_statuses:
        credential.accepted(token, yes=False)
    elif status < SERVER_ERROR and status != TOO_MANY:
        credential.accepted(token, yes=True)
