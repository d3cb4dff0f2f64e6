"""``linkauth rotate-secret``, and the way back from an answer that nobody understood."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import control

if TYPE_CHECKING:
    from tests.cli.conftest import Vendors

pytestmark = pytest.mark.blocking

ANOTHER = ["--scope", "products:read"]
"""The same client's credential for another scope: it has no token yet, and so needs the secret."""


def test_after_a_rotation_the_old_secret_in_the_environment_does(here: Any, own: Vendors, store: str) -> None:
    """The store's secret is newer than the constructor's: ``token`` with the old one gets a new token all the same."""
    how = [*own.options("linkxg"), "--store", store]
    old = own.secrets("linkxg")
    said = here("rotate-secret", *how, **old).well()
    assert "every worker on this store goes on with it" in said
    assert control(own, {})["linkxg"]["rotations"] == 1
    assert "valid until" in here("token", *how, *ANOTHER, **old).well()
    assert control(own, {})["linkxg"]["client_credentials"] == 2
    elsewhere = [*own.options("linkxg"), "--store", f"{store}-other"]
    here("token", *elsewhere, **old).badly("invalid_client")
    # What is there to be taken elsewhere: and that sends nothing to the vendor.
    newest = here("rotate-secret", *how, "--reveal", **old).well().strip()
    assert newest not in {old["LINKAUTH_CLIENT_SECRET"], said}
    assert control(own, {})["linkxg"]["rotations"] == 1
    assert "valid until" in here("token", *elsewhere, LINKAUTH_CLIENT_SECRET=newest).well()
    unrotated = here("rotate-secret", *elsewhere, "--reveal", **old)
    assert (unrotated.status, unrotated.out) == (1, "")
    assert "linkauth has rotated none" in unrotated.err


def test_an_answer_that_nobody_understood(here: Any, own: Vendors, store: str) -> None:
    """It is kept; --recover says so, --reveal prints it, --adopt puts the secret in it in force and lets it go."""
    how = [*own.options("linkxg"), "--store", store]
    old = own.secrets("linkxg")
    assert here("rotate-secret", *how, "--recover", **old).status == 1
    here("rotate-secret", *how, **old).well()  # so that the store's secret is the one that dies
    control(own, {"linkxg": {"settings": {"rotated_as": "data.neues_geheimnis"}}})
    said = here("rotate-secret", *how, **old).badly("--recover --reveal", "Who has to act: the vendor.")
    found = here("rotate-secret", *how, "--recover", **old).well()
    answer = here("rotate-secret", *how, "--recover", "--reveal", **old).well()
    secret = json.loads(answer)["data"]["neues_geheimnis"]
    assert secret not in said
    assert secret not in found
    here("token", *how, *ANOTHER, **old).badly("invalid_client")
    adopted = here("rotate-secret", *how, "--adopt", LINKAUTH_NEW_SECRET=secret, **old).well()
    assert secret not in adopted
    assert "valid until" in here("token", *how, "--scope", "dpp:read", **old).well()
    assert here("rotate-secret", *how, "--recover", **old).status == 1


def test_a_rotation_that_is_refused_changes_nothing(here: Any, own: Vendors, store: str) -> None:
    """The vendor's no arrives in words, and the secret stays."""
    how = [*own.options("linkxg"), "--store", store]
    body = {"success": False, "error": {"code": "INSUFFICIENT_PERMISSIONS", "message": "Owners only"}}
    control(
        own,
        {
            "linkxg": {
                "faults": [
                    {"endpoint": "rotate", "status": 403, "body": json.dumps(body), "content_type": "application/json"}
                ]
            }
        },
    )
    here("rotate-secret", *how, **own.secrets("linkxg")).badly("Owners only")
    here("token", *how, **own.secrets("linkxg")).well()
