"""Which certificates are believed. Some always are asked for: a secret goes to nobody who could be anybody."""

from __future__ import annotations

from ssl import CERT_NONE, SSLContext

from linkauth.errors import ConfigurationError

__all__ = ["verifying"]


def verifying(context: object) -> SSLContext | None:
    """``context``; None, as for True and None, is the system's own.

    Raises ``ConfigurationError`` for one that does not look at the server's certificate, or not whose it is.
    """
    if context is None or context is True:
        return None
    if isinstance(context, SSLContext) and context.verify_mode != CERT_NONE and context.check_hostname:
        return context
    raise ConfigurationError("ssl: an SSLContext is needed that verifies the server's certificate and host name")
