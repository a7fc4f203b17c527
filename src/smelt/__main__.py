"""``python -m smelt`` and the ``smelt`` command.

The warm path of ``smelt run`` is decided here before anything else is imported.
"""

import sys


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    if sys.argv[1:2] == ["run"]:
        from smelt.tasks.warm import try_warm

        try_warm(sys.argv[1:])
    from smelt.cli.main import run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
