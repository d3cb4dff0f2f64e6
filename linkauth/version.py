"""Which linkauth this is: the one place that says so. The build reads it here, and a clone that is not installed knows it too."""

__all__ = ["__version__"]

__version__ = "0.1.0"
