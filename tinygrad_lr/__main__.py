"""``python -m tinygrad_lr``. Ctrl-C ends it with one line, also while it is still loading."""

import _signal as signal  # type: ignore[import-not-found]  # without the Enums of signal, which take longest of all to load
import os
import sys

TYPE_CHECKING = False  # typing would take longer to load than everything before Ctrl-C is handled
if TYPE_CHECKING:
    from typing import NoReturn


def stop(*_: object) -> "NoReturn":
    """End at once. While modules load, a KeyboardInterrupt would surface as a traceback, or as another exception."""
    try:
        os.write(2, b"\nstopped\n")
    finally:
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
