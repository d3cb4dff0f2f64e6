"""The front door as the type checkers see it. Never run: mypy --strict and pyright strict read it."""
