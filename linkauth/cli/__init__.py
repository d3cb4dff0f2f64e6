"""The command ``linkauth``. Nothing that it prints is a secret, but for ``token --reveal`` and ``new-key``."""

from linkauth.cli.main import main

__all__ = ["main"]
