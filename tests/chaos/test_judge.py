"""The judge of a campaign: an excuse has to be shown, and what happened nearby is none."""

from __future__ import annotations

import pytest

from tests.chaos.evidence import FOREVER, Disturbance, Evidence, Exchange, Login, Mark, Reuse
from tests.chaos.judge import TOLD, Judge


def evidence(*disturbances: Disturbance, **more: object) -> Evidence:
    """host1 exchanges t0 for t1 at 10 s; host2 sends t0 again at 20 s. ``without``, ``moved``, ``added``: marks."""
    times = {
        "host1 claimed t0": 10.0,
        "host1 sends t0": 10.01,
        "host1 got t1": 10.2,
        "host1 committed t1": 10.21,
        "host1 holds t1": 10.22,
        "host2 claimed t0": 20.0,
        "host2 sends t0": 20.01,
        **more.get("moved", {}),  # type: ignore[dict-item]
    }
    marks = []
    for words, at in sorted(times.items(), key=lambda each: each[1]):
        host, what = words.split(" ", 1)
        what, _, token = what.rpartition(" ")
        if words not in more.get("without", ()):  # type: ignore[operator]
            marks.append(Mark(host=host, what=what, token=token, at=at, account="account0"))
    return Evidence(
        ended=60.0,
        exchanges=[Exchange(account="account0", host="host1", spent="t0", issued="t1", arrived=10.1, answered=10.1)],
        reuses=[Reuse(account="account0", host="host2", spent="t0", at=more.get("at", 20.1))],  # type: ignore[arg-type]
        logins=[
            Login(account="account0", issued="t0", at=1.0, seen=1.1),
            Login(account="account0", issued="t9", at=30.0, seen=30.1),
        ],
        disturbances=list(disturbances),
        marks=marks,
    )


def verdict(seen: Evidence) -> str:
    """Of the reuse: the excuse, or why there is none."""
    judge = Judge(seen)
    case = next(each for each in judge.cases() if each.what == "a spent token was sent again")
    assert any(line.endswith(f"=== {case.what}: {case.verdict or case.why_not}") for line in judge.story(case))
    return (case.verdict and f"excused: {case.verdict}") or f"no excuse: {case.why_not}"


def at(begun: float, ended: float, what: str, host: str = "", *, loses: bool = False) -> Disturbance:
    """A disturbance."""
    return Disturbance(what=what, host=host, begun=begun, ended=ended, loses=loses)


NO_ANSWER = ("host1 got t1", "host1 committed t1", "host1 holds t1")
NOT_STORED = ("host1 committed t1", "host1 holds t1")
EMPTY = at(15, 16, "store restarts empty", loses=True)


@pytest.mark.parametrize(
    ("disturbances", "without", "expected"),
    [
        pytest.param([], (), "the store had the answer, and had no reason to lose it", id="it was there"),
        pytest.param([], NO_ANSWER, "did not get the answer, and nothing stood in the way", id="just lost"),
        pytest.param(
            [at(10.05, 13, "link to the vendor: delay", "host1")], NO_ANSWER, "nothing stood in the way", id="only slow"
        ),
        pytest.param([at(10.05, 13, "stop", "host1")], NO_ANSWER, "nothing stood in the way", id="buffered"),
        pytest.param(
            [at(10.05, 13, "link to the vendor: cut", "host3")], NO_ANSWER, "nothing stood in the way", id="elsewhere"
        ),
        pytest.param([], NOT_STORED, "host1 had the answer, and 9.8 s", id="not stored"),
        pytest.param([at(15, 16, "kill", "host1")], NOT_STORED, "host1 had the answer, and 4.8 s", id="killed late"),
        pytest.param([at(10.15, 12, "store hangs")], NOT_STORED, "host1 had the answer, and 8.0 s", id="store back"),
        pytest.param([EMPTY], (), "host1, which held it, had 4.0 s to put it back", id="not put back"),
    ],
)
def test_what_has_no_excuse(disturbances, without, expected):
    """There was nothing in the way, or something that was over in good time."""
    assert verdict(evidence(*disturbances, without=without)).startswith("no excuse: ")
    assert expected in verdict(evidence(*disturbances, without=without))


@pytest.mark.parametrize(
    ("disturbances", "without", "expected"),
    [
        ([at(10.05, 13, "link to the vendor: silence", "host1")], NO_ANSWER, "the answer did not arrive"),
        ([at(10, 12, "vendor loses an answer")], NO_ANSWER, "the answer did not arrive"),
        ([at(10.15, 11, "kill", "host1")], NO_ANSWER, "the answer did not arrive (kill)"),
        ([at(10.25, 11, "kill", "host1")], NOT_STORED, "killed before it was stored"),
        ([at(10.15, 18, "stop", "host1")], NOT_STORED, "cut off or stopped before it was stored"),
        ([at(10.15, 13, "store hangs"), at(14, 18, "stop", "host1")], NOT_STORED, "cut off or stopped"),
        ([EMPTY, at(14, 15, "kill", "host1")], (), "nobody who held it was there"),
        ([EMPTY, at(15, 19, "link to the store: silence", "host1")], (), "nobody who held it was there"),
    ],
)
def test_what_is_excused(disturbances, without, expected):
    """The answer did not arrive, could not be stored, or was lost by the store with nobody there to put it back."""
    assert verdict(evidence(*disturbances, without=without)).startswith("excused: ")
    assert expected in verdict(evidence(*disturbances, without=without))


def test_a_slow_vendor_excuses_what_it_had_made_late_itself():
    """It failed before, so that the last try had half the time; a try with all of it, or with less, is no excuse.

    Nor is a try of long ago, which was another exchange's.
    """
    slow = at(10.05, 13, "vendor is slow")
    late = {"host1 sends t0": 10.01, "host1 got no answer t0": 11.6}
    assert "nothing stood in the way" in verdict(evidence(slow, without=NO_ANSWER, moved=late))
    for before, gave_up, excused in ((8.9, 11.6, True), (8.9, 11.3, False), (6.9, 11.6, False)):
        seen = evidence(slow, without=NO_ANSWER, moved={**late, "host1 got no answer t0": gave_up})
        seen.marks.insert(1, Mark(host="host1", at=before, what="sends", token="t0", account="account0"))
        assert ("had failed before" in verdict(seen)) is excused
        seen.disturbances[:] = [at(10.05, 13, "vendor says 503")]
        assert "nothing stood in the way" in verdict(seen)


def test_a_kill_excuses_nothing_where_the_answer_lay_in_escrow():
    """The host's next worker has the duty; it is excused only while it is away."""
    kept = {"host1 in escrow t1": 10.23}
    assert "had the answer" in verdict(evidence(at(10.25, 11, "kill", "host1"), without=NOT_STORED, moved=kept))
    away = at(12, 19, "store hangs")
    assert "killed" in verdict(evidence(at(10.25, 11, "kill", "host1"), away, without=NOT_STORED, moved=kept))


def test_two_at_once():
    """Before the other's request had arrived, and nothing held that up; or something did."""
    both = {"host2 claimed t0": 10.03, "host2 sends t0": 10.04}
    assert "two workers asked at once, and nothing held the first up" in verdict(evidence(moved=both))
    assert "two workers asked at once" in verdict(evidence(moved={"host2 claimed t0": 10.12, "host2 sends t0": 10.13}))
    held = {"host2 claimed t0": 5.0, "host2 sends t0": 5.01}
    assert "excused" in verdict(evidence(at(5, 15, "link to the vendor: silence", "host2"), moved=held))


def test_a_token_in_doubt_is_not_tried_while_the_access_token_is_good():
    """Whatever became of the answer; unless the store lost the note that tells of the doubt."""
    early = {"host2 claimed t0": 11.0, "host2 sends t0": 11.01}
    silence = at(10.05, 13, "link to the vendor: silence", "host1")
    seen = evidence(silence, without=NO_ANSWER, moved=early, at=11.1)
    assert "excused: the answer did not arrive" in verdict(seen)
    before = Exchange(account="account0", host="host1", spent="t", issued="t0", arrived=9.5, answered=9.5, seen=9.6)
    seen.exchanges.insert(0, before)
    seen.marks.insert(0, Mark(host="host1", at=9.5, what="sends", token="t", account="account0"))
    assert "1.3 s before the access token's end" in verdict(seen)
    seen.disturbances.append(at(10.5, 10.9, "failover", loses=True))
    assert "excused: the answer did not arrive" in verdict(seen)


def test_a_dead_token_is_asked_about_once():
    """By the whole fleet, unless the store could not be told."""
    silence = at(10.05, 13, "link to the vendor: silence", "host1")
    seen = evidence(silence, without=NO_ANSWER)
    seen.reuses.insert(0, Reuse(account="account0", host="host3", spent="t0", at=15.0))
    seen.marks += [
        Mark(host="host3", at=14.9, what=what, token="t0", account="account0") for what in ("claimed", "sends")
    ]
    cases = [case for case in Judge(seen).cases() if case.what == "a spent token was sent again"]
    assert [case.why_not for case in cases] == ["", "a dead token was asked about again"]
    seen.disturbances.append(at(15.0, 16.0, "store hangs"))
    cases = [case for case in Judge(seen).cases() if case.what == "a spent token was sent again"]
    assert "had not heard" in cases[1].verdict


def test_who_knew_better_has_no_excuse():
    """The sender had the answer, or a newer token, itself."""
    seen = evidence(at(10.2, 19, "store hangs"), without=NOT_STORED)
    seen.reuses[0].host = "host1"
    seen.marks += [
        Mark(host="host1", what=what, token="t0", at=when, account="account0")
        for what, when in (("claimed", 19.0), ("sends", 19.01))
    ]
    assert "its sender had the answer itself" in verdict(seen)
    assert "held a newer token" in verdict(evidence(EMPTY, moved={"host2 holds t1": 12.0}))


def test_an_answer_that_was_never_stored_is_a_case_too():
    """Also where nobody sent the old token again; a login ends the duty."""
    seen = evidence(without=NOT_STORED)
    seen.reuses.clear()
    (case,) = Judge(seen).cases()
    assert "19.8 s without a disturbance" in case.why_not
    seen.logins[1].at = 11.0
    (case,) = Judge(seen).cases()
    assert case.verdict


def test_a_login_that_was_never_stored_is_a_case():
    """Unless its worker was killed before it had it."""
    seen = evidence()
    seen.reuses.clear()
    seen.logins[1].seen, seen.logins[1].host = None, "host1"
    seen.disturbances.append(at(29.9, 31, "kill", "host1"))
    (case,) = Judge(seen).cases()
    assert (case.what, case.verdict) == ("a login was never stored", "the answer did not arrive (kill)")


@pytest.mark.parametrize(
    ("disturbances", "expected"),
    [
        ([], "the store had the answer, and had no reason to lose it"),
        ([EMPTY], "host1, which held it, had"),
        ([EMPTY, at(12, 18, "kill", "host1")], ""),
    ],
)
def test_a_session_that_is_given_up_though_it_lives(disturbances, expected):
    """Its last token was stored: the store must have lost it, and nobody can have been there who held it."""
    seen = evidence(*disturbances)
    seen.reuses.clear()
    seen.logins[1].why, seen.logins[1].host = TOLD, "host2"
    (case,) = Judge(seen).cases()
    assert expected in case.why_not
    assert bool(case.verdict) == (not expected)
    # What happened after the user was sent for changes nothing; it may take a while until somebody can log in.
    seen.logins[1].told, seen.logins[1].by, seen.logins[1].host, seen.logins[1].at = 30.0, "host2", "host1", 36.0
    later = Exchange(account="account0", host="host1", spent="t1", issued="t2", arrived=33.0, answered=33.0, seen=33.1)
    seen.exchanges.append(later)
    (case,) = Judge(seen).cases()
    assert expected in case.why_not
    assert bool(case.verdict) == (not expected)


def test_evidence_is_kept(tmp_path):
    """And read back as it was."""
    seen = evidence(at(1, FOREVER, "stop", "host1"))
    seen.dump(tmp_path / "kept.json")
    assert Evidence.load(tmp_path / "kept.json") == seen
