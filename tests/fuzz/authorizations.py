"""Authorizations as a state machine: accounts, callbacks right and forged, in any order, through the real engine.

The vendors' model knows for whom each code was consented to. A token must only ever come to the account that began, by a
state that is good, of that vendor, and once; everything else must be refused before the vendor sees anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linkauth import Linkkit, SageX3
from linkauth.errors import LinkAuthError
from linkauth.oauth.exchange import Request, Response
from linkauth.vendors import OAuth2
from tests.engine.fakes import Store, Worker
from tests.engine.virtual import VirtualLoop
from tests.fuzz.targets import fit

if TYPE_CHECKING:
    from collections.abc import Coroutine

BACK = "https://app.example/back"
SECRET = "the-apps-secret"
GENERIC = OAuth2(
    name="generic",
    client_id="app",
    client_secret=SECRET,
    token_url="https://generic.example/token",
    authorize_url="https://generic.example/authorize",
    issuer="https://generic.example",
)
SAGE = SageX3(
    client_id="app",
    client_secret=SECRET,
    base_url="https://api.eu-sagex3.com/v1",
    customer="https://x3.example",
    regions=["us"],
)
LINKKIT = Linkkit(client_id="app", client_secret=SECRET, pkce=True)
VENDORS = [GENERIC, SAGE, LINKKIT]
TRUSTED = {"generic.example", "api.eu-sagex3.com", "api.us-sagex3.com", "api.uselinkkit.com"}
ANY = ["vendor", "state", "no state", "refusal"]
TWISTS = {GENERIC.name: [*ANY, "code", "iss"], SAGE.name: [*ANY, "endpoint"], LINKKIT.name: [*ANY, "code"]}
"""What can be wrong with a callback. Without PKCE nothing tells whose the code is."""
EVIL = [
    "https://evil.example/v1",
    "https://api.evil-sagex3.com/v1",
    "https://api.evil.example-sagex3.com/v1",
    "http://api.eu-sagex3.com/v1",
]


@attrs.define(eq=False)
class Asked:
    """One authorization, and the code that the user's consent brought."""

    vendor: Any
    account: str
    state: str
    challenge: str | None
    code: str
    until: float
    used: bool = False


class Side:
    """All vendors at once: codes, each good for one use, with its client's challenge and redirect URI."""

    def __init__(self) -> None:
        self.codes: dict[str, Asked] = {}
        self.spent: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.strayed: set[str] = set()
        self.next = ""
        """What happens to the next request instead: ``pending``, ``refused``; to all from now on: ``away``."""

    async def send(self, request: Request, seconds: float) -> Response:
        parts = urlsplit(request.url)
        if parts.hostname not in TRUSTED or parts.scheme != "https":
            self.strayed.add(str(parts.hostname))
        self.counts["requests"] += 1
        body = bytes(request.body)
        fields = dict(json.loads(body)) if body.startswith(b"{") else dict(parse_qsl(body.decode()))
        fault, self.next = self.next, "away" if self.next == "away" else ""
        if fault == "away":
            return _said(503, {})
        if fault == "pending":
            return _said(403, {"message": "The pairing has not been accepted yet"})
        asked = self.codes.get(fields.get("code", ""))
        if fault == "refused" or asked is None or asked.code in self.spent or not _is_bound(asked, fields):
            # As careless as a vendor can be: it repeats all that it was sent.
            return _said(
                400, {"error": "invalid_grant", "error_description": str(fields), "message": f"expired {fields}"}
            )
        self.spent.add(asked.code)
        token = {"access_token": f"for-{asked.account}-{asked.code}", "token_type": "Bearer", "expires_in": 900}
        return _said(200, {**token, "refresh_token": f"refresh-{asked.code}"})


def _is_bound(asked: Asked, fields: dict[str, str]) -> bool:
    verifier = fields.get("code_verifier", "")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return fields.get("redirect_uri") == BACK and asked.challenge in {None, challenge}


def _said(status: int, value: object) -> Response:
    return Response(status=status, body=json.dumps(value).encode())


class Authorizations(RuleBasedStateMachine):
    """Two accounts at three vendors, one engine, and whoever can send callbacks."""

    @initialize(accounts=st.lists(st.sampled_from(["ada", "bob"]), min_size=6, max_size=6))
    def begin(self, accounts: list[str]) -> None:
        self.loop = VirtualLoop()
        self.side = Side()
        self.worker = Worker(Store(), self.side)  # type: ignore[arg-type]  # a vendor is what answers
        self.asked: list[Asked] = []
        self.states: set[str] = set()
        for vendor, account in zip(VENDORS * 2, accounts, strict=True):
            self.ask(vendor, account)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.worker.aclose())
            self.loop.close()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def send(self, asked: Asked, vendor: Any, params: dict[str, Any], account: str | None) -> Any:
        """A callback, by ``account``'s own door or by the common one; the token that it brought, None: refused."""

        async def work() -> Any:
            if account is None:
                return (await self.worker.complete(vendor, params)).peek()
            return await self.worker.credential(vendor, account).complete(params)

        try:
            return self.run(work())
        except LinkAuthError as error:
            fit(error)
            assert SECRET not in str(error)
        return None

    @rule(vendor=st.sampled_from(VENDORS), account=st.sampled_from(["ada", "bob"]))
    def ask(self, vendor: Any, account: str) -> None:
        async def work() -> str:
            return await self.worker.credential(vendor, account).authorization_url(BACK)

        found = {name: values[0] for name, values in parse_qs(urlsplit(self.run(work())).query).items()}
        assert found["state"] not in self.states, "a state twice"
        assert len(found["state"]) >= 43, "a state that can be guessed"
        self.states.add(found["state"])
        challenge = found.get("code_challenge")
        assert (challenge is not None) is vendor.uses_pkce
        code = f"code-{len(self.asked)}"
        until = self.loop.now + vendor.pending_lifetime
        self.asked.append(Asked(vendor, account, found["state"], challenge, code, until))
        self.side.codes[code] = self.asked[-1]

    @rule(
        data=st.data(),
        door=st.sampled_from([None, "ada", "bob"]),
        fault=st.sampled_from(["", "", "", "pending", "refused", "away"]),
    )
    def answer(self, data: st.DataObject, door: str | None, fault: str) -> None:
        """A callback with its own code, or twisted in one way; whatever it brings belongs to who began."""
        open_ones = [each for each in self.asked if not each.used and self.loop.now < each.until]
        asked = data.draw(st.sampled_from(open_ones or self.asked) | st.sampled_from(self.asked), label="answer to")
        twist = data.draw(st.just("") | st.sampled_from(TWISTS[asked.vendor.name]), label="twist")
        vendor, params = asked.vendor, {"state": asked.state, "code": asked.code}
        if vendor is GENERIC:
            params["iss"] = "https://generic.example"
        if not twist:
            pass
        elif twist == "vendor":
            vendor = data.draw(st.sampled_from([each for each in VENDORS if each is not asked.vendor]), label="door of")
            params.pop("iss", None)
        elif twist == "state":
            params["state"] = "s" * 43
        elif twist == "no state":
            del params["state"]
        elif twist == "code":
            others = [each for each in self.asked if each is not asked and each.vendor is vendor]
            params["code"] = data.draw(st.sampled_from(others), label="code of").code if others else "stolen"
        elif twist == "iss":
            params["iss"] = "https://evil.example"
        elif twist == "endpoint":
            params["endpoint"] = data.draw(st.sampled_from(EVIL), label="endpoint")
        elif twist == "refusal":
            params |= {"error": "access_denied"}
        open_ = not asked.used and self.loop.now < asked.until and door in {None, asked.account}
        self.side.next = fault
        before = self.side.counts["requests"]
        token = self.send(asked, vendor, params, door)
        self.side.next = ""
        was_asked = self.side.counts["requests"] > before
        assert not was_asked or (open_ and twist in {"", "code"}), "the vendor saw a callback that is not good"
        assert token is None or (not twist and not fault), "a token for what was refused"
        if token is not None:
            assert str(token.access_token) == f"for-{asked.account}-{asked.code}", "somebody else's token"
        if open_ and not twist and not fault:
            assert token is not None, "a good callback is refused"
        stands = fault == "away" or (fault == "pending" and vendor is SAGE)
        asked.used = asked.used or (was_asked and not stands) or (open_ and twist == "refusal")

    @rule(seconds=st.sampled_from([5.0, 400.0, 700.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.loop.now += seconds

    @invariant()
    def nothing_strayed(self) -> None:
        if hasattr(self, "side"):
            assert not self.side.strayed, "a secret went elsewhere"

    @invariant()
    def nobody_holds_what_is_somebody_elses(self) -> None:
        async def work() -> None:
            for vendor in VENDORS:
                for account in ("ada", "bob"):
                    token = self.worker.credential(vendor, account).peek()
                    assert token is None or str(token.access_token).startswith(f"for-{account}-")

        if hasattr(self, "worker"):
            self.run(work())
