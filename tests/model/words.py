"""What somebody does, and what came of it, in words."""

from __future__ import annotations

from linkauth.oauth.token import Secret, Token
from linkauth.protocol import client_secret, effects
from tests.model.values import serial
from tests.model.worker import Outcome
from tests.model.world import Life

__all__ = ["doing", "said"]


def said(answer: Token | Secret | Outcome) -> str:
    if isinstance(answer, Secret):
        return answer.reveal()
    return answer.kind if isinstance(answer, Outcome) else f"a{serial(answer)} {answer.refresh_token or ''}".strip()


def doing(life: Life) -> str:
    """What it is about to do."""
    assert life.point is not None
    effect = life.point.effect
    match effect:
        case effects.Claim(newer_than=version, note=note):
            return f"{life.name} claims, newer than {version}{', with a note' if note else ''}"
        case effects.Exchange():
            if life.air is None:
                return f"{life.name} asks the vendor"
            return f"{life.name} hears: {said(life.air.answer)}" if life.air.answer else f"{life.name} asks once more"
        case effects.Commit(token=fresh) | client_secret.CommitSecret(secret=fresh):
            return f"{life.name} commits {said(fresh)}"
        case effects.Wait(seconds=seconds) | effects.Sleep(seconds=seconds):
            return f"{life.name} has waited ({seconds:g} s at the most)"
        case effects.Forget(reason="", number=number):
            return f"{life.name} takes away under {number} what it had brought in"
        case effects.Forget(number=number):
            return f"{life.name} writes under {number} that the user has gone"
        case effects.Release(note=note):
            return f"{life.name} gives the lease back{', leaving a note' if note else ''}"
    return f"{life.name}: {type(effect).__name__.lower()}"
