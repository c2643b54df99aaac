"""Runs a module as long as the process that asked for it lives: `python -P tied.py FILE_NUMBER MODULE ARGUMENT...`.

The other end of the pipe FILE_NUMBER is held by that process, so the system closes it however that process ends. Then
this one ends at once, with all that it started: it leads a session of its own.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Run the module as if it were the program."""
    pipe, module = int(sys.argv[1]), sys.argv[2]
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
