"""``python -m smelt`` and the ``smelt`` command.

The warm path of ``smelt run`` is decided here before anything else is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    from smelt.cli.main import run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
