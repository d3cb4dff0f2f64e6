"""Vendors that differ from RFC 6749, and what is asked of them."""

from __future__ import annotations

from urllib.parse import parse_qsl

import attrs

from linkauth.testing import play
from linkauth.vendors import Dialect
from tests.vendors.vendor_answers import BY_NAME, CURRENT, OTHER, PENDING

CASE = BY_NAME["oauth2-renew"]
POST = attrs.evolve(OTHER, client_auth="post")


def of(vendor=OTHER, **dialect):
    """``vendor`` with such a dialect."""
    return attrs.evolve(vendor, dialect=Dialect(**dialect))


def form(request):
    """The fields of ``request``."""
    return dict(parse_qsl(request.body.decode()))


def renewed(vendor, response=None, current=CURRENT):
    """What ``vendor`` makes of ``response``, by default a usual one, to a renewal of ``current``."""
    return play(vendor.renew(current), response or CASE.ok())[0]


def exchanged(vendor, response=None, **params):
    """The same of a login, whose callback brings ``params`` besides."""
    return play(vendor.exchange({"code": "canary-code", **params}, PENDING), response or CASE.ok())[0]
