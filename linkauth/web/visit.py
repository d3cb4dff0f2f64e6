"""One request of a browser's to the connect pages, and the answer to it, whatever web framework is around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["HEADERS", "Answer", "CutOff", "Native", "Visit"]

Native: TypeAlias = Any
"""A framework's own request, or response."""

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # a callback's URL holds code and state
    "X-Content-Type-Options": "nosniff",
}
"""What every answer has, the app's own too, unless that says otherwise."""


class CutOff(Exception):
    """The request's body did not arrive in one piece."""


@attrs.frozen(kw_only=True)
class Answer:
    """What is answered here, and not by the app's own functions: a page, or a redirect."""

    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    text: str = ""
    """HTML, or what ``Content-Type`` says."""


class Visit(ABC):
    """A request, and the cookies that go out with its answer. Each framework has its own."""

    def __init__(
        self,
        request: Native,
        *,
        method: str,
        word: str,
        query: Sequence[tuple[str, str]],
        cookies: Mapping[str, str],
        content_type: str,
    ) -> None:
        self.request = request
        """What the app's own functions are handed."""
        self.method = method
        self.word = word
        """Which vendor, in the path."""
        self.query = query
        self.cookies = cookies
        self.content_type = content_type
        """Without parameters, in small letters."""
        self.set_cookies: list[str] = []
        """Values of ``Set-Cookie``."""

    @abstractmethod
    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ``CutOff``."""

    @abstractmethod
    def respond(self, answer: Answer | Native) -> Native:
        """The framework's response for ``answer``, which may be one already, with the cookies that were set."""
