"""Sage X3's folders and GraphQL, as its first-calls page shows them, and where a query may go."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from linkauth.clients import Folder, SageX3Client
from linkauth.errors import ConfigurationError, GraphQLError, InvalidToken, MalformedResponse, UntrustedEndpoint
from tests.clients.conftest import Api


def folder(name: str, url: str) -> dict[str, Any]:
    return {"name": name, "$urls": {"dataService": url}, "kind": "new"}


class Sage:
    """Two folders, and one answer to every query."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.folders = [folder(name, f"{api.url}api/v1/service/X_{name}/graphQL") for name in ("SEED", "X3")]
        self.answer: object = {"data": {"ok": True}, "extensions": {}}
        self.status = 200
        self.queries: list[Any] = []
        api.handler = self.serve

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"folders": self.folders})
        assert request.content_type == "application/json"
        self.queries.append(json.loads(await request.read()))
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
def sage(api: Api) -> Sage:
    return Sage(api)


async def test_folders(api: Api, sage: Sage, session: aiohttp.ClientSession) -> None:
    """The folders of the pairing, with the URL that takes their GraphQL; other members are no error."""
    found = await SageX3Client(session).folders()
    assert [one.name for one in found] == ["SEED", "X3"]
    assert found[0] == Folder(name="SEED", data_service=f"{api.url}api/v1/service/X_SEED/graphQL")
    assert api.asked == ["/api/v1/folders"]


async def test_graphql_by_name_and_by_folder(api: Api, sage: Sage, session: aiohttp.ClientSession) -> None:
    """A folder is told by its name or is one of ``folders()``; the folders are asked for once."""
    client = SageX3Client(session)
    assert await client.graphql("X3", "{ok}") == {"ok": True}
    (seed, _) = await client.folders()
    assert await client.graphql(seed, "query($n: Int) {ok}", {"n": 2}) == {"ok": True}
    assert api.asked == [
        "/api/v1/folders",
        "/api/v1/service/X_X3/graphQL",
        "/api/v1/folders",
        "/api/v1/service/X_SEED/graphQL",
    ]
    assert sage.queries == [
        {"query": "{ok}", "variables": None},
        {"query": "query($n: Int) {ok}", "variables": {"n": 2}},
    ]


async def test_folder_of_an_earlier_day(api: Api, sage: Sage, session: aiohttp.ClientSession) -> None:
    """A folder kept from another client is used once the endpoint's own origin is known."""
    kept = Folder(name="SEED", data_service=f"{api.url}api/v1/service/X_SEED/graphQL")
    assert await SageX3Client(session).graphql(kept, "{ok}") == {"ok": True}


async def test_unknown_folder(api: Api, sage: Sage, session: aiohttp.ClientSession) -> None:
    """A name that the pairing did not open is the caller's mistake; the error says which are open."""
    with pytest.raises(ConfigurationError, match="SEED, X3"):
        await SageX3Client(session).graphql("OTHER", "{ok}")
    assert sage.queries == []


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/graphQL",
        "http://127.0.0.1:1/graphQL",
        "https://127.0.0.1:{port}/graphQL",
        "http://localhost:{port}/graphQL",
        "http://user@127.0.0.1:{port}/graphQL",
        "http://127.0.0.1:{port}@evil.example/graphQL",
        "http://127.0.0.1:{port}.evil.example/graphQL",
        "//evil.example/graphQL",
        "/graphQL",
        "http://127.0.0.1:99999/graphQL",
        "javascript:alert(1)",
        "",
    ],
)
async def test_foreign_data_service_is_refused(
    api: Api,
    sage: Sage,
    session: aiohttp.ClientSession,
    foreign: str,
) -> None:
    """A dataService anywhere but at the endpoint's own origin is ``UntrustedEndpoint``, and nothing is sent."""
    port = api.url.rsplit(":", 1)[1].strip("/")
    sage.folders = [folder("SEED", foreign.replace("{port}", port))]
    client = SageX3Client(session)
    with pytest.raises(UntrustedEndpoint):
        await client.graphql("SEED", "{ok}")
    with pytest.raises(UntrustedEndpoint):
        await client.graphql((await client.folders())[0], "{ok}")
    assert sage.queries == []


@pytest.mark.parametrize("status", [200, 400])
async def test_graphql_errors(sage: Sage, session: aiohttp.ClientSession, status: int) -> None:
    """Errors in a GraphQL answer are ``GraphQLError``, with 400 or beside partial data."""
    sage.answer = {"data": {"half": 1}, "errors": [{"message": "no such field", "path": ["a"]}, {"message": "two"}]}
    sage.status = status
    with pytest.raises(GraphQLError, match="no such field; two") as caught:
        await SageX3Client(session).graphql("SEED", "{nope}")
    assert caught.value.errors == ({"message": "no such field", "path": ["a"]}, {"message": "two"})


async def test_empty_errors_are_none(sage: Sage, session: aiohttp.ClientSession) -> None:
    """An empty list of errors is no error."""
    sage.answer = {"data": {"ok": 1}, "errors": []}
    assert await SageX3Client(session).graphql("SEED", "{ok}") == {"ok": 1}


async def test_graphql_refused(sage: Sage, session: aiohttp.ClientSession) -> None:
    """A 401 at the data service is the token's, with Sage's words."""
    sage.answer, sage.status = {"message": "Unauthorised"}, 401
    with pytest.raises(InvalidToken, match="Unauthorised"):
        await SageX3Client(session).graphql("SEED", "{ok}")


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"data": None}, r"\$\.data"),
        ({"extensions": {}}, r"\$\.data"),
        ({"data": [1]}, r"\$\.data"),
        ([], "JSON list"),
        ({"errors": "text"}, "errors"),
        ({"errors": ["text"]}, "errors"),
        ({"errors": {"message": "x"}}, "errors"),
    ],
)
async def test_malformed_graphql_answer(
    sage: Sage,
    session: aiohttp.ClientSession,
    answer: object,
    field: str,
) -> None:
    """Anything but ``data`` as an object, or ``errors`` as a list of objects, is ``MalformedResponse``."""
    sage.answer = answer
    with pytest.raises(MalformedResponse, match=field):
        await SageX3Client(session).graphql("SEED", "{ok}")


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": "A"}, r"\$\.folders\[0\]\.urls"),
        ({"name": "A", "$urls": {}}, r"\.urls\.data_service"),
        ({"name": "A", "$urls": {"dataService": 3}}, r"\.urls\.data_service"),
        ({"name": 1, "$urls": {"dataService": "x"}}, r"\$\.folders\[0\]\.name"),
    ],
)
async def test_malformed_folder_names_the_field(
    api: Api,
    session: aiohttp.ClientSession,
    entry: object,
    field: str,
) -> None:
    """A folder without its URL is ``MalformedResponse`` with the path of what is missing."""
    api.answers({"folders": [entry]})
    with pytest.raises(MalformedResponse, match=field):
        await SageX3Client(session).folders()
