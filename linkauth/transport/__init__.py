"""Token requests over aiohttp: sessions, the limit of time, proxies, certificates, and what is said where one fails."""

from linkauth.transport.proxies import Proxies, masked
from linkauth.transport.sending import CONNECTIONS, LARGEST, Transport
from linkauth.transport.tls import verifying

__all__ = ["CONNECTIONS", "LARGEST", "Proxies", "Transport", "masked", "verifying"]
