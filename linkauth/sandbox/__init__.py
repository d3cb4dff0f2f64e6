"""The vendors on loopback, as strict as their documents, for tests, demos and trying things out."""

from linkauth.sandbox.clock import Clock
from linkauth.sandbox.faults import Fault
from linkauth.sandbox.server import Sandbox

__all__ = ["Clock", "Fault", "Sandbox"]
