"""Sample data: the same at every start, so that a test may count on it."""

from __future__ import annotations

from functools import cache
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

__all__ = ["connections", "customers", "links", "lists", "product", "products"]

PRODUCTS: Final = 137
SHARED: Final = 23
LINKS: Final = 340
CUSTOMERS: Final = 64

CATEGORIES: Final = ("Components", "Packaging", "Textiles", "Electronics", "Chemicals")
WIDGET: Final = "550e8400-e29b-41d4-a716-446655440000"
"""The product that LinkXG's quick start shows."""


def _uuid(what: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"https://sandbox.invalid/{what}/{number}"))


def _moment(number: int, year: int) -> str:
    return f"{year}-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:30:00Z"


@cache
def products() -> tuple[dict[str, Any], ...]:
    """LinkXG's products as ``GET /products`` lists them."""
    return tuple(
        {
            "id": WIDGET if n == 1 else _uuid("product", n),
            "sku": f"WIDGET-{n:03}",
            "name": "Industrial Widget" if n == 1 else f"Widget No. {n}",
            "category": CATEGORIES[(n - 1) % len(CATEGORIES)],
            "status": "ACTIVE" if n % 9 else "DRAFT",
            "createdAt": _moment(n, 2025),
            "updatedAt": _moment(n, 2026),
        }
        for n in range(1, PRODUCTS + 1)
    )


def product(identifier: str) -> dict[str, Any] | None:
    """One product in full, as ``GET /products/{id}`` shows it."""
    for number, listed in enumerate(products(), start=1):
        if listed["id"] == identifier:
            return {
                **listed,
                "description": "High-precision industrial widget for manufacturing applications",
                "attributes": [
                    {"family": "Specifications", "name": "Weight", "value": 2.5, "unit": "kg"},
                    {"family": "Specifications", "name": "Material", "value": "Stainless Steel"},
                ],
                "certifications": [{"name": "ISO 9001", "validUntil": "2027-03-15"}],
                "version": {"number": 1 + number % 5, "publishedAt": _moment(number, 2026)},
            }
    return None


@cache
def connections() -> tuple[dict[str, Any], ...]:
    """LinkXG's connections. Their fields are not documented: these are the sandbox's own."""
    return tuple(
        {"id": _uuid("connection", n), "name": f"Supplier No. {n}", "status": "ACTIVE", "createdAt": _moment(n, 2025)}
        for n in range(1, 8)
    )


@cache
def lists() -> tuple[str, ...]:
    """Linkkit's list ids."""
    return tuple(_uuid("list", n) for n in range(1, 4))


@cache
def links() -> tuple[dict[str, Any], ...]:
    """Linkkit's links (the schema ``Link``), newest first, as ``GET /v1/links`` orders them."""
    return tuple(
        {
            "id": _uuid("link", n),
            "short_code": f"s{n:04x}",
            "original_url": f"https://example.com/very-long-path/{n}",
            "title": None if n % 7 == 0 else f"Link No. {n}",
            "custom_domain": "go.acme.com" if n % 5 == 0 else None,
            "is_active": n % 4 != 0,
            "expire_at": None,
            "notes": None,
            "list_id": lists()[n % 3] if n % 2 else None,
            "created_at": f"2026-01-01T{n // 60:02}:{n % 60:02}:00Z",
            "updated_at": f"2026-02-01T{n // 60:02}:{n % 60:02}:00Z",
        }
        for n in range(LINKS, 0, -1)
    )


@cache
def customers() -> tuple[dict[str, Any], ...]:
    """Sage X3's customers."""
    return tuple({"code": f"AE{n}", "companyName": f"An Enterprise {n}"} for n in range(1, CUSTOMERS + 1))
