"""The vendors, one file each; ``catalog`` has, as data, those that ``OAuth2`` speaks."""

from linkauth.vendors.api_key import ApiKey
from linkauth.vendors.dialect import Dialect
from linkauth.vendors.linkkit import Linkkit
from linkauth.vendors.linkxg import LinkXG
from linkauth.vendors.linkxg_user import LinkXGUser
from linkauth.vendors.oauth2 import OAuth2
from linkauth.vendors.registered import CodeGrantClient, RegisteredClient
from linkauth.vendors.sagex3 import SageX3
from linkauth.vendors.vendor import Pending, RotationProfile, Vendor

__all__ = [
    "ApiKey",
    "CodeGrantClient",
    "Dialect",
    "LinkXG",
    "LinkXGUser",
    "Linkkit",
    "OAuth2",
    "Pending",
    "RegisteredClient",
    "RotationProfile",
    "SageX3",
    "Vendor",
]
