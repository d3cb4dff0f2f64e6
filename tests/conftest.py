"""What every test gets: a loop that must not be blocked, and a header that says what the tests ran on."""

from __future__ import annotations

import atexit
import importlib
import os
import platform
import signal
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, settings

# Whatever any test does, no secret may show; see there.
from tests.canary.plugin import canary, pytest_runtest_makereport, pytest_warning_recorded  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ["linkauth", "linkauth_stores"]
# The contract kills processes and looks into folders from within its tests: it is a test, though it is shipped.
TESTS = ["linkauth.testing"]
# Modules and what is said of them are read once in a process, when an engine or a store is made.
ONCE = {
    "<frozen importlib._bootstrap>": {"_find_and_load"},
    "importlib/metadata/__init__.py": {"entry_points", "from_name", "load", "read_text"},
}
KERNEL = {"linkauth/processes.py": {"_named", "_stat"}}
"""What looks like a file there is the kernel's memory: a look takes some 30 µs, and waits for no disk."""
# The same examples each time, as long as a test stays as it is: what is new is looked for on purpose (LINKAUTH_FUZZ), and
# does not come by chance upon whoever changed something else.
BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Nothing here is judged by how long it takes: on a busy machine that tells nothing."""
settings.register_profile("the same each time", BUSY, derandomize=True)
settings.register_profile("new each time", BUSY, derandomize=False, print_blob=True)
settings.load_profile("new each time" if "LINKAUTH_FUZZ" in os.environ else "the same each time")


def pytest_configure() -> None:
    """Children inherit a SIGINT that is ignored, as it is for what a script starts with ``&``: then nothing ends them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _share_bytecode()


def _share_bytecode() -> None:
    """Where Python is to write none, as in a container, each worker and each process of a test would compile everything anew.

    A tenth of the run's processor time: they share a folder of the run's own, so nothing is written beside the code.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        folder = tempfile.TemporaryDirectory(prefix="linkauth-bytecode-", ignore_cleanup_errors=True)
        atexit.register(folder.cleanup)
        os.environ["PYTHONPYCACHEPREFIX"] = folder.name


def pytest_report_header() -> str:
    """The versions that a failure may depend on."""
    names = ("aiohttp", "attrs", "cattrs", "redis", "cryptography", "pytest-asyncio", "uvloop")
    found = ", ".join(f"{name} {version(name)}" for name in names if find_spec(name.replace("-", "_")))
    return f"{platform.python_implementation()} {platform.python_version()} with {found}"


@pytest.fixture(scope="session")
def _buster() -> BlockBuster:
    for name in (*OURS, *TESTS):
        importlib.import_module(name)
    buster = BlockBuster(scanned_modules=OURS, excluded_modules=TESTS)
    for function in buster.functions.values():
        for file, names in (ONCE | KERNEL).items():
            function.can_block_in(file, names)
    # Under coverage several threads count, and wait for one another: that is its own doing.
    buster.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", {"lock_data"})
    return buster


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest, _buster: BlockBuster) -> Iterator[BlockBuster | None]:
    """linkauth blocks no event loop: a blocking call with linkauth on the stack raises ``BlockingError``.

    Off in tests marked ``blocking``. One call is let through with
    ``blockbuster.functions["os.stat"].can_block_in("linkauth_stores/file.py", {"function"})`` and a reason.
    """
    if request.node.get_closest_marker("blocking"):
        yield None
        return
    _buster.activate()
    try:
        yield _buster
    finally:
        _buster.deactivate()
