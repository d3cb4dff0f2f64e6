"""Connecting users from a web app: the pages that send them to a vendor and take them back."""

from linkauth.web.connect import connect_app
from linkauth.web.tenants import OfTenant

__all__ = ["OfTenant", "connect_app"]
