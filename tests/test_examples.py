"""Every example in the documents and in docstrings runs. The one that does not run is the one that is wrong."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import types
from pathlib import Path
from typing import Any

import pytest
from sybil.document import Document, PythonDocStringDocument
from sybil.example import Example
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.rest import DocTestParser

import linkauth

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["README.md", "CHANGELOG.md", "linkauth/SECURITY.md", "stores/README.md"]
RUN = [
    "README.md",
    "docs/index.md",
    "docs/operations.md",
    "docs/pages.md",
    *(f"docs/stores/{name}.md" for name in ("memory", "file", "redis")),
    *(f"docs/vendors/{name}.md" for name in ("linkxg", "linkxg-users", "linkkit", "sagex3")),
]
"""The pages whose examples run as a reader would run them, with an engine at hand."""
MODULES = sorted((ROOT / "linkauth").rglob("*.py")) + sorted((ROOT / "stores").rglob("*.py"))

ALL = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
"""The README's examples await at their top level, as ``python -m asyncio`` lets one do."""


def blocks(page: str) -> list[Example]:
    document = Document.parse(str(ROOT / page), CodeBlockParser(language="python", evaluator=lambda _: None))
    return list(document.examples())


def name(example: Example) -> str:
    """The heading above the example."""
    above = example.document.text[: example.region.start]
    page = Path(example.path).relative_to(ROOT)
    heading = re.findall(r"^#+ (.+)$", above, flags=re.MULTILINE)[-1]
    return heading if str(page) == "README.md" else f"{page}: {heading}"


async def run(example: Example, namespace: dict[str, Any]) -> None:
    source = "\n" * example.line + str(example.parsed)  # so that a traceback names the document's own line
    code = compile(source, example.path, "exec", flags=ALL, dont_inherit=True)
    if "asyncio.run(" in source or "linkauth.blocking" in source:
        await asyncio.to_thread(exec, code, namespace)  # it brings its own loop
    elif inspect.iscoroutine(ran := eval(code, namespace)):
        await ran


class Settled:
    """A vendor's class as the README's reader has it once the "…" are filled in: at the sandbox, with its client."""

    def __init__(self, kind: type, part: Any) -> None:
        self.kind, self.part = kind, part

    def __call__(self, **arguments: Any) -> Any:
        fields = inspect.signature(self.kind).parameters
        for field in ("client_id", "client_secret"):
            if field in fields and arguments.get(field, "…") == "…":
                arguments[field] = getattr(self.part.settings, field)
        for field in ("base_url", "token_url"):
            if field in fields and "127.0.0.1" not in arguments.get(field, ""):
                arguments[field] = getattr(self.part, field)
        return self.kind(**arguments)


VENDORS = {"LinkXG": "linkxg", "LinkXGUser": "linkxg", "Linkkit": "linkkit", "SageX3": "sagex3", "OAuth2": "oauth2"}


@pytest.mark.parametrize("example", [pytest.param(block, id=name(block)) for page in RUN for block in blocks(page)])
@pytest.mark.blocking  # a reader's program may print
async def test_an_example(example: Example, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A page's program does what is said, against the sandbox in the vendor's place."""
    from linkauth.sandbox import Sandbox

    source = str(example.parsed)
    back = {name: {"redirect_uris": [f"https://app.example.com/connect/{name}/callback"]} for name in PAIRED}
    async with Sandbox(**back) as sandbox, linkauth.AuthEngine("memory:") as engine:
        for kind, part in VENDORS.items():
            monkeypatch.setattr(linkauth, kind, Settled(getattr(linkauth, kind), sandbox.parts[part]))
        monkeypatch.setattr(linkauth, "AuthEngine", in_folder(tmp_path))
        monkeypatch.setenv("LINKAUTH_KEYS", "A" * 43 + "=")
        if "login(" in source:
            monkeypatch.setattr(linkauth.Credential, "login", as_the_sandboxs_user(sandbox))
        module = types.ModuleType("example")
        module.__dict__["engine"] = engine
        await run(example, vars(module))
        await follow(vars(module), sandbox)


PAIRED = ("linkkit", "sagex3")


def in_folder(folder: Path) -> Any:
    """The engine, with its store and its escrow in ``folder``: neither the reader's home nor the reader's Redis."""
    kind = linkauth.AuthEngine

    def opened(_: str = "memory:", **more: Any) -> linkauth.AuthEngine:
        escrow = {"escrow": str(folder / "escrow")} if "escrow" in more else {}
        return kind(f"file:{folder / 'store'}", **more | escrow)

    return opened


async def follow(example: dict[str, Any], sandbox: Any) -> None:
    """Be the user whom the example sends away; and see that the credential that it ends with has a token."""
    if "url" in example:
        vendor = example["credential"].vendor
        callback = sandbox.parts[vendor.name].consent(example["url"])
        await example["engine"].complete(vendor, callback.params)
    if "credential" in example:
        assert (await example["credential"].token()).access_token


def as_the_sandboxs_user(sandbox: Any) -> Any:
    login = linkauth.Credential.login
    user = sandbox.linkxg.settings

    async def with_password(self: Any, *, email: str, password: str) -> Any:
        assert (email, password) == (user.email, "…")
        return await login(self, email=email, password=user.password)

    return with_password


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings(path: Path) -> None:
    """What a docstring shows at a prompt is what comes out."""
    document = PythonDocStringDocument.parse(str(path), DocTestParser())
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", [page for page in PAGES if (ROOT / page).exists()])
def test_links(page: str) -> None:
    """Every link within the repository leads somewhere, to a heading too."""
    text = (ROOT / page).read_text()
    slug = {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        if not (((ROOT / page).parent / path).exists() if path else heading in slug):
            dead.append(target)
    assert dead == []
