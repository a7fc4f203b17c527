"""``python -m smelt`` and the ``smelt`` command.

The warm paths of ``smelt run`` and ``smelt lock`` are decided here before anything else is imported.
"""

import os
import sys


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    try:
        _main()
    except KeyboardInterrupt:  # while modules are loaded; later the command line says what was interrupted
        os._exit(130)


def _main() -> None:
    if sys.argv[1:2] == ["run"]:
        from smelt.tasks.warm import try_warm

        try_warm(sys.argv[1:])
    elif sys.argv[1:2] == ["lock"]:
        from smelt.cli.warm_lock import try_lock

        try_lock(sys.argv[1:])
    from smelt.cli.main import run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
