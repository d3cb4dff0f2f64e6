"""For a web app: the pages that send users to a vendor and take them back, and the page that shows operators who is connected."""

from linkauth.web.connect import connect_app
from linkauth.web.look import Look
from linkauth.web.status_app import status_app
from linkauth.web.tenants import OfTenant
from linkauth.web.words import ENGLISH

__all__ = ["ENGLISH", "Look", "OfTenant", "connect_app", "status_app"]
