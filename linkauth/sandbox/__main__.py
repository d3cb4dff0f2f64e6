"""``python -m linkauth.sandbox``."""

from linkauth.sandbox.program import main

if __name__ == "__main__":
    raise SystemExit(main())
