"""``Secret`` and the masked strings as values: compared, hashed, copied, asked whether they are empty."""

from __future__ import annotations

import copy

import pytest

from linkauth.oauth.token import Secret, SecretBytes, SecretStr


def test_a_secret_equals_an_equal_secret_and_nothing_else():
    """Not even the text that it holds: whoever compares it with a ``str`` has mixed something up."""
    assert Secret("canary") == Secret("canary")
    assert Secret("canary") != Secret("other")
    assert Secret("canary") != "canary"
    assert len({Secret("canary"), Secret("canary"), Secret("other")}) == 2


def test_an_empty_secret_is_false():
    """As an empty string would be: whoever asks ``if secret`` means that."""
    assert Secret("x")
    assert not Secret("")


@pytest.mark.parametrize("kind", [Secret, SecretStr])
def test_a_copy_of_a_secret_is_the_secret(kind):
    """No second object that a debugger, or a core dump, could find."""
    value = kind("canary")
    assert copy.copy(value) is copy.deepcopy(value) is value


def test_masked_bytes_show_nothing():
    """``str(bytes)`` is a ``repr``, and a mistake that is easily made."""
    value = SecretBytes(b"canary")
    assert "canary" not in f"{value}{value!r}{value!s}"
    assert bytes(value) == b"canary"
