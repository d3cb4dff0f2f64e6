"""What vendors' pages print of their wire, by the catalogue's name.

Most are from a second reading, by somebody who had not seen the entry, of another page than the entry's where there was one;
``Recorded.page_read`` has it. ``read_once`` has the others.
"""

from __future__ import annotations

from tests.vendors.wires.business import BUSINESS
from tests.vendors.wires.form import BACK, BASIC, BODY, BOTH, CODE, ID, SECRET, STATE, Recorded
from tests.vendors.wires.identity import IDENTITY
from tests.vendors.wires.people import PEOPLE
from tests.vendors.wires.read_once import ONCE
from tests.vendors.wires.work import WORK

__all__ = ["AGAIN", "BACK", "BASIC", "BODY", "BOTH", "CODE", "ID", "RECORDED", "SECRET", "STATE", "Recorded"]

AGAIN = {**BUSINESS, **IDENTITY, **PEOPLE, **WORK}
RECORDED = {**ONCE, **AGAIN}
