"""A worker: a process that is handed one task after the other and hands back what came of each.

One rule: its standard output belongs to the answers; whatever a task prints goes to standard error, where the
pool keeps the last of it for the case that the process dies.

Run as ``python -m haqactor.sim.search.worker`` by ``pool``. A message is four bytes of length and a pickle;
a task is (function, arguments, CPU seconds it may take), an answer (value or None, error or "", CPU seconds
taken).
"""

import faulthandler
import os
import pickle
import signal
import sys
import traceback
from typing import Any, BinaryIO

from haqactor.sim.search.stopwatch import cpu_s


def main() -> None:
    """Work until there is nothing more to read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started us
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    faulthandler.enable()
    faulthandler.register(signal.SIGVTALRM, all_threads=False, chain=True)  # says where, then dies
    while True:
        task = receive(sys.stdin.buffer)
        if task is None:
            return
        function, arguments, limit_s = task
        signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
        began = cpu_s()
        value, error = None, ""
        try:
            value = function(*arguments)
        except Exception:  # the one who asked is told, and the next task is another matter
            error = traceback.format_exc()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        try:
            answers.write(packed((value, error, cpu_s() - began)))
            answers.flush()
        except BrokenPipeError:
            return


def packed(message: object) -> bytes:
    """As it travels."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(body).to_bytes(4, "big") + body


def receive(source: BinaryIO) -> Any:
    """The next message; None at the end."""
    head = source.read(4)
    if len(head) < 4:
        return None
    body = source.read(int.from_bytes(head, "big"))
    return pickle.loads(body)


if __name__ == "__main__":
    main()
