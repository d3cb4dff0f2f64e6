"""What vendors' pages print of their wire, by the catalogue's name.

They are from a second reading, by somebody who had not seen the entry, of another page than the entry's where there was one;
``Recorded.page_read`` has it. Where no page prints an answer, a remark says whose it is.
"""

from __future__ import annotations

from tests.vendors.wires.business import BUSINESS
from tests.vendors.wires.form import BACK, BASIC, BODY, BOTH, CODE, ID, SECRET, STATE, Recorded
from tests.vendors.wires.identity import IDENTITY
from tests.vendors.wires.people import PEOPLE
from tests.vendors.wires.work import WORK

__all__ = ["BACK", "BASIC", "BODY", "BOTH", "CODE", "ID", "RECORDED", "SECRET", "STATE", "Recorded"]

RECORDED = {**BUSINESS, **IDENTITY, **PEOPLE, **WORK}
