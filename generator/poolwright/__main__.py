"""The command: `poolwright` and `python -m poolwright`."""

import sys

from poolwright import interrupts


def main() -> None:
    """Run the command line and exit with its code; Ctrl-C is answered from the first moment on."""
    interrupts.install()
    from poolwright.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
