"""``linkauth import``: sessions of another program come in, whatever interrupts it, and however slowly the vendor renews them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import PATIENCE, Ran, control, environment, ran, run

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking

HANGS = """
import asyncio, sys
from linkauth.cli import main
from linkauth_stores.file import FileStore
left = done = int(sys.argv.pop(1))
commit = FileStore.commit
async def hang(*args, **kwargs):
    global left, done
    left -= 1
    if left < 0:
        await asyncio.Event().wait()
    committed = await commit(*args, **kwargs)
    done -= 1
    if not done:
        print("hangs", flush=True)
    return committed
FileStore.commit = hang
main(sys.argv[1:])
"""
"""The command line on a store that takes so many commits and then hangs."""


def elsewhere(vendors: Vendors) -> str:
    """A refresh token of a session that another program made."""
    part = vendors.at["linkxg"]
    body = json.dumps({"email": part["email"], "password": part["password"]}).encode()
    request = urllib.request.Request(f"{part['base_url']}/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)["data"]["refreshToken"]


def renewals(vendors: Vendors) -> int:
    """How many refresh tokens the vendor has taken."""
    return int(control(vendors, {})["linkxg"].get("refresh_token", 0))


def lines(vendors: Vendors, count: int) -> str:
    """So many sessions as ``import`` reads them."""
    return "".join(
        json.dumps({"account": f"user-{number}", "refresh_token": elsewhere(vendors)}) + "\n" for number in range(count)
    )


def command(vendors: Vendors, store: str, *more: str) -> list[str]:
    return ["import", *vendors.options("linkxg-user")[:3], "--store", store, *more]


def accounts(store: str) -> dict[str, Any]:
    told = run("status", "--store", store, "--json")
    return {each["account"]: each for each in map(json.loads, told.out.splitlines())}


def brought_in(vendors: Vendors, store: str, text: str, *more: str) -> Ran:
    return run(*command(vendors, store, *more), stdin=text)


def test_sessions_come_in_and_are_renewed(vendors: Vendors, store: str) -> None:
    """Each is stored and renewed once; run again, each is there already and costs the vendor nothing."""
    text = lines(vendors, 3)
    before = renewals(vendors)
    assert brought_in(vendors, store, text).well() == "stored 3, there already 0, refused 0, renewed 3\n"
    assert brought_in(vendors, store, text).well() == "stored 0, there already 3, refused 0\n"
    assert renewals(vendors) == before + 3
    assert {name: each["expires_at"] > each["now"] for name, each in accounts(store).items()} == {
        f"user-{number}": True for number in range(3)
    }


def test_a_kill_in_the_middle_loses_nothing(own: Vendors, store: str) -> None:
    """kill -9 when seven of twenty are stored; run again with the same lines, all twenty are here, each renewed once."""
    control(own, {"linkxg": {"settings": {"login_limit": None}}})
    text = lines(own, 20)
    with subprocess.Popen(
        [sys.executable, "-c", HANGS, "7", *command(own, store)],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        process.stdin.write(text)
        process.stdin.close()
        assert process.stdout.readline() == "hangs\n"
        process.kill()
    assert len(accounts(store)) == 7
    assert renewals(own) == 0  # nothing is spent before all are stored
    told = brought_in(own, store, text).well()
    assert told == "stored 13, there already 7, refused 0, renewed 20\n"
    assert renewals(own) == 20
    assert not [each for each in accounts(store).values() if each["needs_user"] or each["expires_at"] is None]


@pytest.mark.long
def test_a_dry_run_changes_nothing(vendors: Vendors, store: str, tmp_path: Path) -> None:
    """It says what would come in, of whom, and which lines cannot; no store is made, no vendor asked, and nothing stored."""
    text = lines(vendors, 2) + '{"account": "ada", "expires_at": 5}\nno JSON\n'
    before = renewals(vendors)
    ended = brought_in(vendors, store, text, "--dry-run")
    assert (ended.status, ended.out) == (1, "nothing was done; it would be: stored 2, there already 0, refused 2\n")
    assert "line 3: adopt: an access token or a refresh token is needed" in ended.err
    assert "line 4: it is no JSON object" in ended.err
    assert not (tmp_path / "store").exists()
    brought_in(vendors, store, text.splitlines()[0], "--no-renew").well()
    told = brought_in(vendors, store, text, "--dry-run").out
    assert told == "nothing was done; it would be: stored 1, there already 1, refused 2\n"
    assert renewals(vendors) == before


@pytest.mark.long
def test_without_renewal_each_is_renewed_at_first_use(vendors: Vendors, store: str) -> None:
    """``--no-renew`` asks the vendor nothing; ``token`` then gets what the stored refresh token brings."""
    before = renewals(vendors)
    assert "stored 1" in brought_in(vendors, store, lines(vendors, 1), "--no-renew").well()
    assert renewals(vendors) == before
    how = [*vendors.options("linkxg-user")[:3], "--store", store, "--account", "user-0"]
    assert "valid until" in run("token", *how).well()


@pytest.mark.long
def test_what_is_refused_is_told_by_its_line_and_keeps_no_other_out(vendors: Vendors, store: str) -> None:
    """Faults of a line, other registrations, and a refresh token that the vendor refuses: the others come in, status 1."""
    good = lines(vendors, 1)
    wrong = [
        {"account": "ada", "refreshToken": "canary"},
        {"account": "", "refresh_token": "canary"},
        {"account": 7, "refresh_token": "canary"},
        {"account": "ada", "refresh_token": "canary", "endpoint": "https://canary.example"},
        {"account": "ada", "vendor": "linkkit", "refresh_token": "canary"},
        {"account": "dead", "refresh_token": "canary"},
    ]
    text = "".join(json.dumps(one) + "\n" for one in wrong) + good
    ended = brought_in(vendors, store, text)
    assert ended.status == 1
    assert ended.out == (
        "stored 2, there already 0, refused 4, of another registration 1, renewed 1, needs its user 1\n"
    )
    assert [f"line {number}" in ended.err for number in range(1, 8)] == [True] * 4 + [False] * 3
    assert "linkxg-user/dead" in ended.err
    assert "canary" not in ended.err + ended.out
    assert accounts(store)["dead"]["needs_user"]


def test_a_vendor_of_machines_has_no_sessions_to_bring_in(vendors: Vendors, store: str, tmp_path: Path) -> None:
    """It says so before anything is stored."""
    arguments = ["import", *vendors.options("linkxg"), "--store", store]
    run(*arguments, stdin='{"account": "a", "refresh_token": "r"}', **vendors.secrets("linkxg")).badly("needs no user")
    assert not (tmp_path / "store").exists()


@pytest.mark.long
def test_what_is_exported_comes_in_elsewhere(vendors: Vendors, store: str) -> None:
    """``export --reveal`` of one store is what ``import`` reads into another, access token and all; the vendor is not asked."""
    brought_in(vendors, store, lines(vendors, 2)).well()
    before = renewals(vendors)
    exported = run("export", "--store", store, "--reveal")
    assert exported.status == 0
    assert brought_in(vendors, f"{store}-2", exported.out).well() == "stored 2, there already 0, refused 0\n"
    assert renewals(vendors) == before
    how = [*vendors.options("linkxg-user")[:3], "--account", "user-1", "--reveal"]
    assert run("token", *how, "--store", f"{store}-2").well() == run("token", *how, "--store", store).well()
    one = ran(["--reveal"], *_parts(run("export", "--store", store, "--reveal", "--account", "user-1")))
    assert [json.loads(line)["account"] for line in one.out.splitlines()] == ["user-1"]


def _parts(one: Ran) -> tuple[int, str, str]:
    return one.status, one.out, one.err


@pytest.mark.long
def test_a_pipe_gets_no_secrets_unasked(vendors: Vendors, store: str) -> None:
    """Without --reveal ``export`` prints nothing into a pipe."""
    brought_in(vendors, store, lines(vendors, 1), "--no-renew").well()
    ended = run("export", "--store", store)
    assert ended.out == ""
    ended.badly("--reveal")
