"""First calls at Sage X3: folders, and GraphQL in one of them (developer.sage.com, "Make your first API calls")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import attrs
from yarl import URL

from linkauth.clients.call import OK, Answer, call, get, refuse
from linkauth.errors import ConfigurationError, GraphQLError, MalformedResponse, UntrustedEndpoint
from linkauth.oauth import wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from linkauth.oauth.exchange import Response

__all__ = ["Folder", "SageX3Client"]

VENDOR: Final = "sagex3"


@attrs.frozen(kw_only=True)
class Folder:
    """A folder that the pairing opened. ``data_service``: the URL that takes its GraphQL."""

    name: str
    """As ``graphql`` takes it."""
    data_service: str
    """The URL that takes its GraphQL."""


@wire.answer(rename=wire.camel)
@attrs.frozen(kw_only=True)
class _Urls:
    data_service: str


@wire.answer(rename={"name": "name", "urls": "$urls"}.__getitem__)
@attrs.frozen(kw_only=True)
class _Folder:
    name: str
    urls: _Urls


@attrs.frozen(kw_only=True)
class _Folders:
    folders: tuple[_Folder, ...]


class SageX3Client:
    """Calls to Sage X3's API with a credential's session (``credential.session()``).

    Every call raises an ``OAuthError`` where Sage refuses (``InvalidToken`` at 401), ``VendorUnavailable`` where it
    cannot be reached or answers 5xx, ``MalformedResponse`` naming the field where an answer is not as documented, and
    what the credential raises.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._folders: dict[str, Folder] = {}
        self._endpoint: URL | None = None

    async def folders(self) -> tuple[Folder, ...]:
        """The folders that the X3 user chose in the pairing."""
        what = f"{VENDOR}'s folders"
        answer = await get(self._session, "folders", vendor=VENDOR)
        listing = wire.structure(wire.members(answer.response.body, what), _Folders, what)
        found = tuple(Folder(name=one.name, data_service=one.urls.data_service) for one in listing.folders)
        self._endpoint, self._folders = answer.url, {folder.name: folder for folder in found}
        return found

    async def graphql(
        self, folder: Folder | str, query: str, variables: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The ``data`` of a GraphQL answer from ``folder`` (one of ``folders()``, or its name).

        The first call asks for the folders, for they say where to send it. Raises ``GraphQLError`` where the answer
        carries errors, ``UntrustedEndpoint`` where the folder's URL is not at the endpoint's own origin (nothing is
        sent then), ``ConfigurationError`` for a name that the pairing did not open.
        """
        url = _trusted((await self._known(folder)).data_service, self._endpoint)
        payload = {"query": query, "variables": None if variables is None else dict(variables)}
        return _data(await call(self._session, "POST", url, vendor=VENDOR, json=payload))

    async def _known(self, folder: Folder | str) -> Folder:
        name = folder if isinstance(folder, str) else folder.name
        if self._endpoint is None or (isinstance(folder, str) and name not in self._folders):
            await self.folders()
        if isinstance(folder, Folder):
            return folder
        if name not in self._folders:
            opened = ", ".join(sorted(self._folders)) or "none"
            raise ConfigurationError(f"{VENDOR}: the pairing did not open that folder; it opened: {opened}")
        return self._folders[name]


def _trusted(data_service: str, endpoint: URL | None) -> URL:
    try:
        url = URL(data_service)  # aiohttp's own reading of it, so that nothing is read in two ways
        if endpoint is not None and url.origin() == endpoint.origin() and url.user is None and url.password is None:
            return url
    except ValueError:  # not absolute, no host, a port that is no number
        pass
    raise UntrustedEndpoint(f"{VENDOR}: a folder's dataService is not at the endpoint's own origin")


def _data(answer: Answer) -> dict[str, Any]:
    what = f"{VENDOR}'s GraphQL answer"
    response = answer.response
    errors = _errors(response)
    if errors and response.status in {OK, 400}:
        if not isinstance(errors, list) or not all(isinstance(error, dict) for error in cast("list[object]", errors)):
            raise MalformedResponse(f"{what}: errors is not a list of objects")
        raise GraphQLError(cast("list[dict[str, Any]]", errors))
    if response.status != OK:
        refuse(response, VENDOR)
    data = wire.members(response.body, what).get("data")
    if not isinstance(data, dict):
        raise MalformedResponse(f"{what}: expected an object @ $.data")
    return cast("dict[str, Any]", data)


def _errors(response: Response) -> object:
    """The answer's errors, made fit to show. A function of its own: no frame of a traceback holds what Sage really said."""
    told = wire.as_object(wire.decode(response.body)).get("errors")
    return wire.fit(told, *response.secrets(), whole=True) if told else None
