"""First calls: enough of each vendor's API to see a credential work, and to page through what it opens.

Each client is given the session of a credential (``credential.session()``) and makes ordinary requests with it. What
it needs beyond these calls, an app asks of that session itself.
"""

from linkauth.clients.linkkit import Link, LinkkitClient
from linkauth.clients.linkxg import (
    Attribute,
    Certification,
    Connection,
    Limit,
    LinkXGClient,
    Product,
    ProductDetail,
    ProductVersion,
    Tier,
    Usage,
)
from linkauth.clients.sagex3 import Folder, SageX3Client

__all__ = [
    "Attribute",
    "Certification",
    "Connection",
    "Folder",
    "Limit",
    "Link",
    "LinkXGClient",
    "LinkkitClient",
    "Product",
    "ProductDetail",
    "ProductVersion",
    "SageX3Client",
    "Tier",
    "Usage",
]
