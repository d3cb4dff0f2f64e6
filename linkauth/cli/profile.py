"""Profiles: a store, its keys and the registrations that belong together, in one TOML file of the user's own.

::

    [work]
    store = "redis://localhost/0"
    keys_file = "~/.config/linkauth.keys"
    vendor = "linkkit"

    [work.vendors.linkkit]
    client_id = "…"
    client_secret = "$LINKKIT_SECRET"

A text that begins with ``$`` names a variable of the environment. Arguments go before the environment, and that before the profile.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from linkauth.cli import settings
from linkauth.cli.arguments import PASSWORD, REGISTRATION
from linkauth.cli.known import known
from linkauth.errors import ConfigurationError
from linkauth.oauth.token import masked, secret_str
from linkauth.vendors.catalog import close_to

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["choose"]

PROFILE: Final = frozenset({"store", "keys", "keys_file", "vendor", "vendor_of"})
"""What a profile says in texts."""
VENDOR: Final = frozenset({*REGISTRATION, "client_secret", "account", "email", "password", "redirect_uri"})
"""What it says in texts of one vendor."""
PAIRS: Final = frozenset({"extra", "set"})
"""What it says of one vendor in tables."""
SECRETS: Final = frozenset({"client_secret", "password", "keys"})


def _place() -> Path:
    """The file: ``$LINKAUTH_CONFIG``, else ``linkauth.toml`` in the folder of the XDG Base Directory Specification."""
    if named := os.environ.get("LINKAUTH_CONFIG"):
        return Path(named).expanduser()
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    # "If an implementation encounters a relative path … it should consider the path invalid and ignore it."
    return (Path(folder) if folder.startswith("/") else Path("~/.config").expanduser()) / "linkauth.toml"


def choose(name: str, vendor: str | None) -> None:
    """Let the profile ``name`` say what is not given: of ``vendor``, else of its own, else of the only one that it registers.

    Raises ``ConfigurationError`` for a file that cannot be read or says what is not understood, and where others may read a
    secret that is in it.
    """
    path = _place()
    found, registered = _checked(name, path)
    texts = {each: _text(found[each], each, path) for each in PROFILE & found.keys()}
    if "keys_file" in texts:
        keys = Path(texts.pop("keys_file")).expanduser()
        _raise_if_others_read(keys, "keys")
        texts["keys"] = secret_str(",".join(_read(keys).split()))
    chosen = (vendor or texts.get("vendor") or (min(registered) if len(registered) == 1 else "")).lower()
    pairs: dict[str, list[str]] = {}
    if chosen:
        texts["vendor"] = chosen
    if chosen in registered:
        own = registered[chosen]
        texts.update((each, _text(own[each], each, path)) for each in VENDOR & own.keys())
        for option in PAIRS & own.keys():
            pairs[option] = [f"{one}={_text(value, one, path)}" for one, value in _table(own[option], option).items()]
    settings.choose({f"LINKAUTH_{each.upper()}": value for each, value in texts.items()}, pairs)


def _checked(name: str, path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The profile and its registrations by vendor, all of whose keys are known; ``-`` in a key is as good as ``_``."""
    try:
        # Masked as a whole: what is a secret in it is not known before it is understood.
        whole: dict[str, Any] = masked(tomllib.loads(_read(path)))
    except tomllib.TOMLDecodeError as error:
        fault = f"{path} is no TOML: {error}"
        raise ConfigurationError(fault) from None
    if name not in whole:
        raise ConfigurationError(f"{path} has no profile {name!r}{close_to(name, whole)}")
    found = _keys(_table(whole[name], name), {*PROFILE, "vendors"}, f"{path}: profile {name}")
    registered: dict[str, dict[str, Any]] = {}
    for vendor, own in _table(found.pop("vendors", {}), "vendors").items():
        where = f"{path}: profile {name}, vendor {vendor}"
        if vendor.lower() not in known():
            raise ConfigurationError(f"{where}: it is not known{close_to(vendor, known())}")
        registered[vendor.lower()] = _keys(_table(own, vendor), VENDOR | PAIRS, where)
    return found, registered


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        fault = os.strerror(error.errno) if error.errno else type(error).__name__
    except UnicodeDecodeError:  # it holds what was read
        fault = "it is no UTF-8"
    raise ConfigurationError(f"{path} cannot be read: {fault}")


def _table(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name}: a table is needed, [{name}]")
    return cast("dict[str, Any]", value)


def _keys(table: dict[str, Any], known: Iterable[str], where: str) -> dict[str, Any]:
    found = {key.replace("-", "_"): value for key, value in table.items()}
    if unknown := found.keys() - known:
        key = min(unknown)
        raise ConfigurationError(f"{where}: {key} is nothing that is read here{close_to(key, known)}")
    return found


def _text(value: object, key: str, path: Path) -> str:
    """``value``, or that of the variable that it names. A secret may only stand where nobody else can read it."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{path}: {key}: a text is needed")
    if re.fullmatch(r"\$\w+", value):
        there = os.environ.get(value[1:])
        if not there:
            raise ConfigurationError(f"{path}: {key}: {value} is not set")
        return secret_str(there)
    if key in SECRETS or PASSWORD.search(value):
        _raise_if_others_read(path, key)
        return secret_str(value)
    return str(value)


def _raise_if_others_read(path: Path, key: str) -> None:
    try:
        status = path.stat()
    except OSError:
        return  # to read it says why
    if os.name == "posix" and status.st_uid != os.geteuid():
        raise ConfigurationError(f"{path} holds a secret ({key}) and belongs to another user")
    if os.name == "posix" and status.st_mode & 0o077:
        raise ConfigurationError(f"{path} holds a secret ({key}) and is not yours alone: chmod 600 {path}")
