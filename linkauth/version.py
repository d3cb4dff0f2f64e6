"""Which linkauth this is: the one place that says so. The build reads it here, and a clone that is not installed knows it too."""

from typing import Final

__all__ = ["__version__"]

__version__: Final = "0.1.0"
