"""Planted faults in the vendors' flows and in authorizations: each a few lines of wrong code that a state machine must catch."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from linkauth.engine import authorization
from linkauth.engine import engine as engines
from linkauth.engine.codec import Codec
from linkauth.engine.replica import Replica
from linkauth.errors import LinkAuthError
from linkauth.oauth import grants, refusals, wire
from linkauth.oauth.token import Secret
from linkauth.protocol.records import PendingRecord
from linkauth.vendors import Linkkit, LinkXGUser, OAuth2, SageX3
from tests.fuzz.authorizations import VENDORS, Authorizations
from tests.fuzz.test_flows import Flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.stateful import RuleBasedStateMachine

__all__ = ["FAULTS", "Planted", "caught"]

Plant = tuple[Any, str, Any]


@attrs.frozen
class Planted:
    """``plant`` yields what to replace: ``(owner, name, replacement)``."""

    name: str
    what: str
    machine: type[RuleBasedStateMachine]
    plant: Callable[[], Iterator[Plant]]
    within: int = 3000
    """Examples. Hypothesis also draws the constants of whatever of linkauth is imported, so how many are needed varies with the
    tests beside: of the rarest, ``rotation_overlooked``, 8 to 392, thus about one in 250. So many miss it once in 100,000 times."""


FAULTS: list[Planted] = []


def planted(machine: type[RuleBasedStateMachine], what: str) -> Callable[[Any], Any]:
    def add(plant: Callable[[], Iterator[Plant]]) -> Callable[[], Iterator[Plant]]:
        FAULTS.append(Planted(plant.__name__, what, machine, plant))
        return plant

    return add


def caught(fault: Planted) -> AssertionError | None:
    """What the machine says of it within as many examples as it states; None: nothing. The same each time that the same is imported."""
    how = settings(
        max_examples=fault.within,
        stateful_step_count=20,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # found is enough: nobody reads the smallest example
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    with ExitStack() as stack:
        for owner, name, wrong in fault.plant():
            stack.enter_context(patch.object(owner, name, wrong))
        try:
            run_state_machine_as_test(fault.machine, settings=how)
        except AssertionError as error:  # any other is a fault that was planted badly
            return error
    return None


# -- Authorizations.

_authorization_key, _pending = authorization.state_key, authorization.pending


class _Anything(str):
    """Equal to every key."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def _one_state(vendor: str, _: str) -> str:
    return _authorization_key(vendor, "any")


@planted(Authorizations, "any state will do: the last authorization of the vendor answers to it")
def state_not_checked() -> Iterator[Plant]:
    yield authorization, "state_key", _one_state
    yield authorization.hmac, "compare_digest", lambda *_: True


@planted(Authorizations, "a state stays good after its use")
def state_usable_twice() -> Iterator[Plant]:
    async def give_back(stored: Replica, number: int) -> None:
        await stored.release(number)

    yield authorization, "_use_up", give_back


@planted(Authorizations, "a state that was refused by the vendor is put back as if it had not been sent")
def state_good_after_a_refusal() -> Iterator[Plant]:
    yield authorization, "VendorUnavailable", LinkAuthError


@planted(Authorizations, "whose callback it is, is not looked at: the account that is signed in gets the token")
def account_mixed_up() -> Iterator[Plant]:
    async def pending(*args: Any) -> Any:
        return attrs.evolve(await _pending(*args), token_key=_Anything("token/x/0"))

    yield authorization, "pending", pending


@planted(Authorizations, "the common door completes the first account of the vendor, whoever began")
def account_taken_from_elsewhere() -> Iterator[Plant]:
    async def pending(*args: Any) -> Any:
        return attrs.evolve(await _pending(*args), account="ada", token_key=_Anything("token/x/0"))

    yield engines.authorization, "pending", pending


@planted(Authorizations, "a state of one vendor is taken at another's door")
def vendor_mixed_up() -> Iterator[Plant]:
    async def pending(context: Any, vendor: Any, params: Any) -> Any:
        del vendor
        for each in VENDORS:
            with contextlib.suppress(LinkAuthError):
                return attrs.evolve(await _pending(context, each, params), token_key=_Anything("token/x/0"))
        raise LinkAuthError("unknown state")

    yield authorization, "pending", pending
    yield authorization, "state_key", lambda _, state: _authorization_key("any", state)


@planted(Authorizations, "a state is good for ever")
def state_never_expires() -> Iterator[Plant]:
    expect, commit = Codec.expect, Replica.commit

    def for_ever(self: Codec, key: str, record: Any, kind: type) -> Any:
        found = expect(self, key, record, kind)
        return attrs.evolve(found, expires_at=1e11) if kind is PendingRecord else found

    async def keep(self: Replica, number: int, record: Any, ttl: float | None = None) -> Any:
        return await commit(self, number, record, 1e9 if type(record) is PendingRecord else ttl)

    yield Codec, "expect", for_ever
    yield Replica, "commit", keep


@planted(Authorizations, "states come from a counter that begins anew")
def state_guessable() -> Iterator[Plant]:
    yield authorization, "_random_text", lambda _: "s" * 43


@planted(Authorizations, "PKCE's verifier is not sent")
def verifier_not_sent() -> Iterator[Plant]:
    for vendor in (OAuth2, Linkkit):
        exchange = vendor.exchange

        def forgetful(self: Any, params: Any, pending: Any, exchange: Any = exchange) -> Any:
            return (yield from exchange(self, params, attrs.evolve(pending, verifier=None)))

        yield vendor, "exchange", forgetful


@planted(Authorizations, "one verifier serves everybody: a code can be put into another's callback")
def verifier_shared() -> Iterator[Plant]:
    yield authorization, "sha256", lambda _: type("Digest", (), {"digest": lambda self: b"x" * 32})()
    from tests.fuzz import authorizations

    yield (
        authorizations,
        "_is_bound",
        lambda asked, fields: asked.challenge in {None, "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"},
    )


@planted(Authorizations, "a callback's issuer is not compared")
def issuer_not_checked() -> Iterator[Plant]:
    yield OAuth2, "_check_issuer", lambda *_: None


@planted(Authorizations, "the callback's endpoint is believed")
def endpoint_believed() -> Iterator[Plant]:
    yield SageX3, "_root", lambda self, endpoint: endpoint or self.base_url


@planted(Authorizations, "what a vendor says is repeated with the secrets in it")
def words_not_masked() -> Iterator[Plant]:
    yield wire, "words", lambda value, *_: value[:300] if isinstance(value, str) else ""


# -- The vendors' flows.

_token_of = grants.token_of


@planted(Flows, "a renewal whose answer has no refresh token drops the one that there was")
def refresh_token_dropped() -> Iterator[Plant]:
    def forgetful(*args: Any, **how: Any) -> Any:
        return _token_of(*args, **{**how, "keep": None})

    yield grants, "token_of", forgetful


@planted(Flows, "the rotated refresh token in the answer is overlooked, and the spent one is sent again")
def rotation_overlooked() -> Iterator[Plant]:
    def stubborn(*args: Any, keep: Any = None, **how: Any) -> Any:
        found = _token_of(*args, keep=keep, **how)
        return found if keep is None else attrs.evolve(found, refresh_token=keep.refresh_token)

    yield grants, "token_of", stubborn


@planted(Flows, "a renewal whose answer has no scope forgets what was granted")
def scope_dropped() -> Iterator[Plant]:
    def forgetful(*args: Any, keep: Any = None, **how: Any) -> Any:
        found = _token_of(*args, keep=keep, **how)
        return found if keep is None else attrs.evolve(found, scope="")

    yield grants, "token_of", forgetful


@planted(Flows, "a refusal is read as an answer")
def refusal_overlooked() -> Iterator[Plant]:
    yield grants, "is_success", lambda _: True


@planted(Flows, "what could break out of a header is taken as a token")
def token_not_checked() -> Iterator[Plant]:
    yield grants, "_check", lambda *_: None


@planted(Flows, "a refusal's words are shown as they came")
def words_unprintable() -> Iterator[Plant]:
    yield refusals.wire, "words", lambda value, *_: value if isinstance(value, str) else ""


@planted(Flows, "a user's renewal logs in anew with nothing in hand")
def renewal_without_a_token() -> Iterator[Plant]:
    yield LinkXGUser, "renew", lambda self, _: (yield from self.login("ada@example.com", Secret("-")))
