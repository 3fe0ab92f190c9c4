"""Runs the command line: the script `passband`, and `python -m passband`."""

import sys


def main() -> None:
    """Run a command. If Ctrl-C comes while its modules are loaded, it ends with the status of shells."""
    try:
        from passband.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
