"""All that the landing pages say, in English: one mapping, so that another language is one mapping, too.

A page's title stands under its name, its text under ``NAME.text``. ``$vendor`` stands for the vendor's title.
"""

from __future__ import annotations

from string import Template
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from linkauth.errors import ConfigurationError
from linkauth.vendors.catalog import close_to

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENGLISH", "completed"]

_RELOAD: Final = "Nothing is connected yet, and nothing is lost. Reload this page in a moment to go on."
"""The state is still good, so the same callback does it; where nothing was begun yet, it begins."""

ENGLISH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lang": "en",  # the language of all the rest (BCP 47), for whoever reads it aloud or translates it
        "dir": "ltr",  # or "rtl"
        "logo": "",  # what is read aloud in the logo's place; empty where it only adorns
        "again": "Try again",
        "vendor-says": "$vendor says:",
        "connected": "Connected to $vendor",
        "connected.text": "You can close this page.",
        "nobody": "Please sign in first",
        "nobody.text": "Sign in to this app, then connect $vendor from there.",
        "unknown": "There is nothing here",
        "unknown.text": "This app connects no vendor of that name.",
        "no-tenant": "There is nothing here",
        "no-tenant.text": "This app knows no such customer of $vendor, or none was named.",
        "no-path": "This link cannot be right",
        "no-path.text": "Where it leads on to is no page of this app. Nothing was begun.",
        "not-allowed": "This page cannot be reached in this way",
        "not-allowed.text": "Nothing was changed. Start again from where you are signed in.",
        "used": "This answer was used already, or has expired",
        "used.text": "If $vendor is connected by now, all is well and nothing is left to do. If not, start again from where "
        "you are signed in.",
        "pending": "Not answered yet",
        "pending.text": "The request waits for somebody to accept it at $vendor.",
        "refused": "Not connected",
        "refused.text": "The request was refused at $vendor, so this app has no access.",
        "no-answer": "This is not an answer from $vendor",
        "no-answer.text": "Nothing was changed. If you came here from $vendor, tell those who run this app.",
        "no-answer.type": "A form or JSON is taken here, and nothing else.",
        "no-answer.unreadable": "It cannot be read.",
        "no-answer.twice": "It says something twice.",
        "no-answer.large": "It is too large.",
        "no-answer.slow": "It took too long to arrive.",
        "no-answer.cut": "It did not arrive in one piece.",
        "away": "$vendor cannot be reached just now",
        "away.text": _RELOAD,
        "expired": "The answer from $vendor has expired",
        "expired.text": "Nothing is connected.",
        "denied": "$vendor refused",
        "denied.text": "Nothing is connected. Those who run this app have to look into it.",
        "not-anew": "Not connected anew",
        "not-anew.text": "$vendor gave no lasting access this time. What was connected before goes on. Those who run this app "
        "have to look into it.",
        "malformed": "The answer from $vendor cannot be read",
        "malformed.text": "Those who run this app have to look into it.",
        "store-away": "This app cannot save the connection just now",
        "store-away.text": _RELOAD,
        "failed": "Not connected",
        "failed.text": "Those who run this app have to look into it.",
    }
)


def completed(given: Mapping[str, str]) -> Mapping[str, str]:
    """attrs converter: ``given``, and English where it says nothing. Raises ``ConfigurationError`` for what no page could show."""
    for key, word in dict[Any, Any](given).items():
        if not isinstance(key, str) or key not in ENGLISH:
            raise ConfigurationError(f"Look: words has {key!r}, which no page says{close_to(str(key), ENGLISH)}")
        if not isinstance(word, str) or not (word.strip() or key == "logo"):
            raise ConfigurationError(f"Look: words[{key!r}] is no text")
        template = Template(word)
        if not template.is_valid() or set(template.get_identifiers()) - {"vendor"}:
            raise ConfigurationError(f"Look: words[{key!r}] may hold $vendor, and every other dollar doubled: $$")
    words = {**ENGLISH, **given}
    if not _is_a_language(words["lang"]):
        raise ConfigurationError('Look: words["lang"] is a language tag, such as "de" or "pt-BR" (BCP 47)')
    if words["dir"] not in {"ltr", "rtl"}:
        raise ConfigurationError('Look: words["dir"] is "ltr" or "rtl"')
    return MappingProxyType(words)


def _is_a_language(text: str) -> bool:
    first, *more = text.split("-")
    return 2 <= len(first) <= 3 and all(
        0 < len(each) <= 8 and each.isascii() and each.isalnum() for each in (first, *more)
    )
