"""What running costs: the real clocks that those read who measure or bound the simulator itself.

One rule: nothing of it reaches a world; it is read before a world begins and after it has ended.
"""

import time


def cpu_s() -> float:
    """Of this process, user and system, in seconds."""
    return time.process_time()


def wall_s() -> float:
    """Seconds on the wall since some moment; only differences mean something."""
    return time.monotonic()
