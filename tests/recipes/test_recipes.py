"""Each recipe of ``docs/recipes.md``, as it stands there: several workers, one token request."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.recipes.conftest import FILES, PATIENCE, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., subprocess.Popen[str]]
    Count = Callable[[], int]
    Order = Callable[[object], None]

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

LIFETIME = 3.0
"""Seconds that a token lives for a process that is frozen as long."""

WEB = {
    "aiohttp": ("gunicorn aiohttp_app", "--bind 127.0.0.1:{port}", "gunicorn"),
    "fastapi": ("uvicorn fastapi_app", "--port {port}", "fastapi"),
    "django asgi": ("uvicorn django_app", "--port {port}", "django"),
    "django wsgi": ("gunicorn django_app", "--bind 127.0.0.1:{port}", "django"),
}


@pytest.mark.parametrize("recipe", WEB)
def test_a_web_apps_workers_share_one_token(recipe: str, start: Start, port: int, token_requests: Count) -> None:
    """Thirty requests at once to three workers that hold nothing: LinkXG is asked once."""
    words, where, library = WEB[recipe]
    pytest.importorskip(library)
    start(words, where.format(port=port))
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(fetch, [f"http://127.0.0.1:{port}/products"] * 30))
    assert all(json.loads(answer)["data"] for answer in answers)
    assert token_requests() == 1


def test_a_user_connects_in_one_worker_and_is_served_by_all(
    start: Start, port: int, sandbox: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent to Linkkit, back with a code, on to where the user wanted to be; then thirty calls at once, and one token request."""
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    app = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("PUBLIC_URL", app)
    start("uvicorn users_app", f"--port {port}")
    fetch(f"{app}/docs")
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    browser.addheaders = [
        ("Cookie", "user=ada")
    ]  # where the browser has no cookie of its own to send, such as the binding
    consent = browser.open(f"{app}/links", timeout=PATIENCE)
    (ticket,) = re.findall(r'name="ticket" value="([^"]+)"', consent.read().decode())
    accepted = urllib.parse.urlencode({"ticket": ticket, "answer": "accept"}).encode()
    served = browser.open(
        urllib.parse.urljoin(consent.url, "/linkkit/oauth/authorize/answer"), accepted, timeout=PATIENCE
    )
    assert served.url == f"{app}/links"

    def links(_: int) -> int:
        with browser.open(f"{app}/links", timeout=PATIENCE) as answer:
            return len(json.loads(answer.read())["data"])

    with ThreadPoolExecutor(30) as pool:
        assert min(pool.map(links, range(30))) > 0
    assert json.loads(fetch(sandbox["url"] + "/counters"))["linkkit"]["token_requests"] == 1


def test_celerys_children_share_one_token(
    start: Start, folder: Path, redis_url: str, token_requests: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty tasks in three forked children, each in a loop of its own."""
    pytest.importorskip("celery")
    monkeypatch.setenv("CELERY_BROKER", redis_url)
    start("celery", "--loglevel WARNING")
    ask = (
        "from celery_app import count_products as task; waiting = [task.delay() for _ in range(30)];"
        f"print([one.get(timeout={PATIENCE}) for one in waiting])"
    )
    counts = json.loads(subprocess.check_output([sys.executable, "-c", ask], cwd=folder, text=True))
    assert len(counts) == 30
    assert min(counts) > 0
    assert token_requests() == 1


def test_rqs_jobs_share_one_token(
    start: Start, folder: Path, redis_url: str, token_requests: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six jobs, two workers, a process for each job."""
    pytest.importorskip("rq")
    monkeypatch.setenv("RQ_REDIS", redis_url)
    start("rq worker")
    start("rq worker")
    ask = f"""
import time
from redis import Redis
from rq import Queue
queue = Queue(connection=Redis.from_url({redis_url!r}))
jobs = [queue.enqueue("rq_jobs.count_products") for _ in range(6)]
end = time.monotonic() + {PATIENCE}
while not all(job.is_finished for job in jobs) and time.monotonic() < end:
    time.sleep(0.1)
print([job.return_value() for job in jobs])
"""
    counts = json.loads(subprocess.check_output([sys.executable, "-c", ask], cwd=folder, text=True))
    assert len(counts) == 6
    assert min(counts) > 0
    assert token_requests() == 1


def test_a_notebooks_cell(folder: Path, token_requests: Count) -> None:
    """A kernel runs the cell twice: the second time the token is there."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cell = FILES["notebook cell"]
    cells = [nbformat.v4.new_code_cell(cell), nbformat.v4.new_code_cell(cell)]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}}).execute()
    assert all(one.outputs[0].text.endswith("products\n") for one in book.cells)
    assert token_requests() == 1


def test_a_process_that_is_frozen_between_calls(folder: Path, order: Order, token_requests: Count) -> None:
    """Stopped after its first call, and let go on when its token has ended: the next call has another token at once."""
    order({"linkxg": {"settings": {"token_lifetime": LIFETIME}}})
    program = (
        "import sys\nfrom lambda_function import handler\nfor _ in sys.stdin: print(handler({}, None), flush=True)"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen([sys.executable, "-c", program], cwd=folder, **pipes) as process:

        def call() -> int:
            process.stdin.write("\n")
            return int(process.stdout.readline())

        assert call() > 0
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(LIFETIME)  # what is frozen has no clock that a test could move
        os.kill(process.pid, signal.SIGCONT)
        assert call() > 0
        assert token_requests() == 2
        process.stdin.close()
