"""A worker ends when the process that started it does, however that one ends."""

import os
import signal
import threading
import time

INTERVAL_S = 0.5


def end_with(parent: int) -> None:
    """End this process soon after its parent has; an interrupt from the terminal is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), name="weakseg-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL_S)
    os._exit(1)
