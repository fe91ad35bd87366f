"""``python -m tinygrad_lr``. Ctrl-C ends it with one line, also while it is still loading."""

import contextlib
import os
import signal
import sys
from typing import Any, NoReturn


def stop(*_: Any) -> NoReturn:
    """End at once. While modules load, a KeyboardInterrupt would come out of them as a traceback, or as something else."""
    with contextlib.suppress(OSError):
        os.write(2, b"\nstopped\n")
    os._exit(130)  # as a shell reports the end of a program by SIGINT


def run() -> int:
    """The exit status of the command line."""
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so for a job in the background
    if interruptible:
        signal.signal(signal.SIGINT, stop)
    from tinygrad_lr.cli import main

    try:
        if interruptible:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # a second one
        stop()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done and written


sys.exit(run())
