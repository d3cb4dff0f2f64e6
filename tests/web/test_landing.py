"""What the page says by the kind of error: it speaks to whoever has to act."""

from __future__ import annotations

from linkauth.errors import AccessDenied, Forbidden
from linkauth.web.landing import failure


def test_what_no_user_can_lift_is_not_called_the_users_refusal() -> None:
    """A refusal by the user says so; a subscription's limit is for those who run the app to look into."""
    assert "refused at $vendor" in failure(AccessDenied("access_denied", status=403)).text
    limit = failure(Forbidden("LIMIT_EXCEEDED", "the plan allows 10", status=403))
    assert "Those who run this app" in limit.text
    assert limit.words == "the plan allows 10"
