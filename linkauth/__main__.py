"""``python -m linkauth``."""

import sys

from linkauth.cli import main

sys.exit(main())
