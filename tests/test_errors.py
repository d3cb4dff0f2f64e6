"""What every error keeps: who has to act, its place in the tree that is drawn, and itself on its way to another process."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from linkauth import errors

KINDS = [getattr(errors, name) for name in errors.__all__]
DRAWN = re.findall(r"^    (?:│   |    )*[├└]── (\w+) +(.*)$", errors.__doc__, re.MULTILINE)
ACTORS = ("you", "the user", "the vendor", "the operator", "nobody")


def made(kind):
    """An error of ``kind`` with all that it can hold."""
    if kind is errors.GraphQLError:
        return kind([{"message": "no"}])
    if kind is errors.RateLimited:
        told = {"retry_after": 1.0, "limit": 60, "remaining": 0, "reset_at": 1_700_000_000.0}
        return kind("code", "words", details={"field": ["sku"]}, **told)
    if issubclass(kind, errors.OAuthError):
        return kind("code", "words", status=422, details={"field": ["sku"]})
    return kind("words")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_travels_whole(kind):
    """Pickled, copied, or raised once more for another waiter: the same class, words and attributes, another object."""
    error = made(kind)
    kept = {name: value for name, value in vars(error).items() if name not in kind.unpicklable}
    assert vars(error.again()) == vars(error)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error), error.again()):
        assert other is not error
        assert type(other) is kind
        assert (str(other), other.args, {**vars(error), **vars(other)}) == (str(error), error.args, vars(error))
        assert kept.items() <= vars(other).items()


def test_the_tree_is_drawn_as_it_is():
    """The drawing at the top of ``errors`` names every class, below its parent, once."""
    assert sorted(["LinkAuthError", *(name for name, _ in DRAWN)]) == sorted(errors.__all__)
    parents = [errors.LinkAuthError]
    for row in errors.__doc__.splitlines():
        if found := re.match(r"    ((?:│   |    )*)[├└]── (\w+)", row):
            depth = len(found[1]) // 4 + 1
            kind = getattr(errors, found[2])
            parents[depth:] = [kind]
            assert kind.__bases__[0] is parents[depth - 1]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_says_who_has_to_act(kind):
    """``who`` is one of five, and the drawing says the same."""
    assert kind.who in ACTORS
    said = re.match(rf"({'|'.join(ACTORS)})(:|,| \(|$)", dict(DRAWN).get(kind.__name__, ""))
    assert said is None or said[1] == kind.who


def test_what_no_user_can_lift_is_not_the_users():
    """``Forbidden`` is caught as ``AccessDenied``, and yet asks nobody to log in; what an API says no to is yours."""
    assert issubclass(errors.Forbidden, errors.AccessDenied)
    assert errors.AccessDenied.who == "the user"
    mine = (errors.Forbidden, errors.NotFound, errors.Conflict, errors.UnprocessableContent)
    assert {kind.who for kind in mine} == {"you"}


def test_details_are_no_shared_mapping():
    """An error without details has an empty mapping of its own."""
    first, second = errors.NotFound(), errors.NotFound()
    first.details["x"] = 1
    assert second.details == {}
