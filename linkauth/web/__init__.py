"""For a web app: the pages that send users to a vendor and take them back, and the page that shows operators who is connected."""

from linkauth.web.connect import connect_app
from linkauth.web.status_app import status_app
from linkauth.web.tenants import OfTenant

__all__ = ["OfTenant", "connect_app", "status_app"]
