"""``python -m textenvs`` is the ``textenvs`` command."""

import sys

from textenvs.cli import main

if __name__ == "__main__":
    sys.exit(main())
