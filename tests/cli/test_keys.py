"""Changing keys, and rotating secrets by age, from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import control

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking  # a command line prints


def test_the_old_key_goes_when_everything_is_under_the_new_one(here: Any, own: Vendors, store: str) -> None:
    """``status`` says which keys are in use, ``reseal`` writes all under the newest, and a rotated secret survives the old key."""
    old, new = (here("new-key").well().strip() for _ in range(2))
    how, secret = [*own.options("linkxg"), "--store", store], own.secrets("linkxg")
    here("token", *how, LINKAUTH_KEYS=old, **secret).well()
    here("rotate-secret", *how, LINKAUTH_KEYS=old, **secret).well()
    assert "3 of" not in here("status", "--store", store, LINKAUTH_KEYS=old).well()
    both = f"{new},{old}"
    here("token", *how, "--scope", "products:read", LINKAUTH_KEYS=both, **secret).well()
    before = here("status", "--store", store, LINKAUTH_KEYS=both).well()
    assert "(2 of 3)" in before
    assert "(1 of 3)" in before
    assert "linkxg: secret of" in before
    assert here("reseal", "--store", store, LINKAUTH_KEYS=both).well() == "written anew 2\n"
    assert here("reseal", "--store", store, LINKAUTH_KEYS=both).well() == "written anew 0\n"
    assert "(3 of 3)" in here("status", "--store", store, LINKAUTH_KEYS=new).well()
    assert "valid until" in here("token", *how, "--scope", "dpp:read", LINKAUTH_KEYS=new, **secret).well()


def test_what_is_left_is_told(here: Any, vendors: Vendors, store: str) -> None:
    """Without the key that something is under, ``reseal`` says so and exits with 1; without any key it is a mistake."""
    old, new = (here("new-key").well().strip() for _ in range(2))
    user = [*vendors.options("linkxg-user"), "--store", store]
    here("connect", *user, LINKAUTH_KEYS=old, **vendors.secrets("linkxg-user")).well()
    left = here("reseal", "--store", store, LINKAUTH_KEYS=new)
    assert (left.status, left.out) == (1, "written anew 0\n")
    assert "1 left under key" in left.err
    assert "their key is not among $LINKAUTH_KEYS" in left.err
    here("reseal", "--store", store).badly("the engine has no keys", "$LINKAUTH_KEYS")


def test_a_secret_is_rotated_when_it_is_old(here: Any, own: Vendors, store: str) -> None:
    """``--older-than``, as a timer calls it: the first call sees the secret, a later one rotates it, and the next has nothing to do."""
    key = here("new-key").well().strip()
    how, secret = [*own.options("linkxg"), "--store", store], {**own.secrets("linkxg"), "LINKAUTH_KEYS": key}
    assert "nothing was done" in here("rotate-secret", *how, "--older-than", "90d", **secret).well()
    assert control(own, {})["linkxg"].get("rotations", 0) == 0
    assert "has a new secret" in here("rotate-secret", *how, "--older-than", "0.000001s", **secret).well()
    assert "nothing was done" in here("rotate-secret", *how, "--older-than", "1h", **secret).well()
    assert control(own, {})["linkxg"]["rotations"] == 1
    lines = here("status", "--json", "--store", store, LINKAUTH_KEYS=key).well().splitlines()
    told = {each["key"].partition("/")[0]: each for each in map(json.loads, lines)}
    assert told["secret"]["secret_rotated_at"] <= told["secret"]["now"]
    assert told["secret"]["client_id"] == told["token"]["client_id"] == own.at["linkxg"]["client_id"]
    assert " ago" in here("status", "--store", store, LINKAUTH_KEYS=key).well()
    keep = ["keep-alive", *how, "--once", "--rotate-secrets-after"]
    here(*keep, "1h", **secret).well()
    assert control(own, {})["linkxg"]["rotations"] == 1
    here(*keep, "0.000001s", **secret).well()
    assert control(own, {})["linkxg"]["rotations"] == 2
    assert "valid until" in here("token", *how, "--scope", "dpp:read", **secret).well()


@pytest.mark.parametrize("age", ["soon", "0d", "-1d", "90 years", "", "inf", "1e999d"])
def test_an_age_is_a_number_and_a_unit(here: Any, store: str, age: str) -> None:
    """Anything else is not understood, before a store is opened."""
    ended = here("rotate-secret", "linkxg", "--store", store, f"--older-than={age}")
    assert ended.status == 2
    assert "length of time" in ended.err


def test_where_it_is_refused(here: Any, vendors: Vendors) -> None:
    """In a store of this process alone nobody would have the new secret."""
    how = [*vendors.options("linkxg"), "--store", "memory:"]
    here("rotate-secret", *how, "--older-than", "90d", **vendors.secrets("linkxg")).badly("ends with this process")
