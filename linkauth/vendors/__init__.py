"""The vendors, one file each."""

from linkauth.vendors.linkxg import LinkXG
from linkauth.vendors.vendor import RotationProfile, Vendor

__all__ = ["LinkXG", "RotationProfile", "Vendor"]
