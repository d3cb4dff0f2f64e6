"""``linkauth status --watch``: the same, again and again, and through an outage of the store."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, NoReturn

from linkauth.cli.registration import opened, raise_unless_exists
from linkauth.cli.status_lines import as_json, find, table, who_has_to_act
from linkauth.cli.words import moment
from linkauth.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from linkauth.engine.status import Status

__all__ = ["watch"]


async def watch(chosen: argparse.Namespace) -> NoReturn:
    """Look every ``chosen.watch`` seconds until cancelled. Raises ``ConfigurationError`` for a store that nobody has used."""
    found: list[Status] | None = None
    looked_at, was_away = 0.0, False
    with _shown(chosen) as show:
        async with opened(chosen.store) as engine:
            while True:
                away = ""
                try:
                    if found is None:
                        await raise_unless_exists(engine)
                    found = await find(engine, chosen)
                    looked_at = time.time()
                except StoreUnavailable as error:
                    away = f"the store is away: {error}" + (
                        "" if found is None else f"; as it was at {moment(looked_at)}"
                    )
                if chosen.json:
                    _print_json([] if away or found is None else found, away if not was_away else "")
                else:
                    head = f"{moment(time.time())}  {away or f'every {chosen.watch:g} s, Ctrl-C ends it'}"
                    show([head, *([] if found is None else [*who_has_to_act(found), *table(found, chosen)])])
                was_away = bool(away)
                await asyncio.sleep(chosen.watch)


def _print_json(found: Sequence[Status], away: str) -> None:
    for line in as_json(found):
        print(line)
    sys.stdout.flush()
    if away:
        print(f"linkauth: {away}", file=sys.stderr)


def _shown(chosen: argparse.Namespace) -> AbstractContextManager[Callable[[Sequence[str]], None]]:
    """What shows lines: in the place of those before at a terminal, below them elsewhere."""
    if chosen.json or not sys.stdout.isatty():
        return nullcontext(lambda lines: print(*lines, sep="\n", flush=True))
    try:
        from linkauth.cli.drawing import replaced  # noqa: PLC0415  # it needs rich
    except ImportError:
        raise ConfigurationError("status --watch draws with rich: pip install 'linkauth[cli]'") from None
    return replaced()
