"""What vendors call themselves, for people to read: "Sage X3" for ``sagex3``."""

from __future__ import annotations

from typing import Final

from linkauth.vendors.catalog import ENTRIES

__all__ = ["title"]

SPELT: Final = {
    "amazon-selling-partner": "Amazon",
    "cognito": "Amazon Cognito",
    "digitalocean": "DigitalOcean",
    "docusign": "DocuSign",
    "ebay": "eBay",
    "github": "GitHub",
    "gitlab": "GitLab",
    "hubspot": "HubSpot",
    "linkedin": "LinkedIn",
    "linkkit": "Linkkit",
    "linkxg": "LinkXG",
    "linkxg-user": "LinkXG",
    "mercadolibre": "Mercado Libre",
    "paypal": "PayPal",
    "quickbooks": "QuickBooks",
    "sagex3": "Sage X3",
    "zoom-server-to-server": "Zoom",
}
"""Those that a capital letter in front does not make."""


def title(name: str) -> str:
    """The title of the vendor that is called ``name``; ``name`` itself where nobody here knows it."""
    return SPELT.get(name) or (name.capitalize() if name in ENTRIES else name)
