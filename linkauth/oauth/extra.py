"""What else a vendor said beside the token: how long it is kept, and how much of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from linkauth.oauth import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from linkauth.oauth.token import Token

__all__ = ["LARGEST", "Extra", "extra"]

LARGEST: Final = 65_536
"""Bytes of ``extra``, as JSON. A store may take no more than 16 MiB, and reads a record for every worker."""


class Extra(TypedDict):
    """A token's fields that hold it."""

    extra: Mapping[str, Any]
    renewed: tuple[str, ...]
    left_out: tuple[str, ...]


def extra(said: Mapping[str, Any], keep: Token | None) -> Extra:
    """What is kept of ``said``, the members of an answer that have no field. ``keep``: the token that was renewed.

    What a login or a callback brought stays, in its newest state. What only a renewal brought takes the place of what the
    renewal before it brought: a vendor that names each answer anew would fill the store. Above ``LARGEST`` a token is not
    refused for it: what a renewal brought goes first, and the larger before the smaller.
    """
    stays = {} if keep is None else {name: value for name, value in keep.extra.items() if name not in keep.renewed}
    found = {**stays, **said}
    renewed = set[str]() if keep is None else found.keys() - stays.keys()
    sizes = {name: len(wire.dump({name: value})) for name, value in found.items()}
    whole = sum(sizes.values())  # counted down, for a vendor may send a hundred thousand of them
    left_out: list[str] = []
    for name in sorted(found, key=lambda name: (name not in renewed, -sizes[name])):
        if whole <= LARGEST:
            break
        del found[name]
        whole -= sizes[name]
        left_out.append(name)
    return Extra(extra=found, renewed=tuple(sorted(renewed & found.keys())), left_out=tuple(sorted(left_out)))
