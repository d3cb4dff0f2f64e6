"""What others plug in by entry point: stores by the scheme of their URL, vendors by the name that is typed."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, cast

from linkauth.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load", "names"]


def names(group: str) -> frozenset[str]:
    """What is installed in ``group``, in lower case."""
    return frozenset(name.lower() for name in entry_points(group=group).names)


def load(group: str, name: str, *, what: str, named: str) -> Callable[..., Any]:
    """The callable that is installed in ``group`` under ``name``, in lower case. It imports that package.

    ``what`` and ``named`` are the words for errors: a ``"store"`` for ``"the scheme"``. Raises ``ConfigurationError`` where
    there is none, where there are several, and where it cannot be loaded.
    """
    offered = [point for point in entry_points(group=group) if point.name.lower() == name]
    if not offered:
        known = ", ".join(sorted(names(group)))
        raise ConfigurationError(f"no {what} is installed for {named} {name!r}; known are: {known}")
    whose = sorted(point.dist.name if point.dist else "?" for point in offered)
    if len(offered) > 1:
        # Which of them is found first hangs on the order of folders, and which is meant nobody can know.
        raise ConfigurationError(
            f"several {what}s are installed for {named} {name!r}: uninstall all but one of {', '.join(whose)}"
        )
    try:
        found: object = offered[0].load()
    except ConfigurationError:
        raise
    except ImportError as error:
        missing = error.name or "a package"
        cure = "pip install 'linkauth[redis]'" if missing.partition(".")[0] == "redis" else "install it"
        raise ConfigurationError(f"the {what} for {name!r} needs {missing}: {cure}") from None
    except Exception as error:  # somebody else's module, which runs as it is imported
        raise ConfigurationError(f"the {what} for {name!r} cannot be loaded from {whose[0]}: {error!r}") from error
    if not callable(found):
        raise ConfigurationError(f"the {what} for {name!r} of {whose[0]} is no callable")
    return cast("Callable[..., Any]", found)
