"""A plain script that uses ``linkauth.blocking``, in a process of its own: ``python -m tests.blocking.script WHAT STORE VENDOR``.

It prints a line at each step, and goes on with a line at its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings

from linkauth import OAuth2
from linkauth.blocking import AuthEngine


def say(*words: object) -> None:
    print(*words, flush=True)


def renew_and_end(credential, how: str) -> None:
    """A thread renews; while the vendor is silent the main thread comes to its end."""
    threading.Thread(target=credential.refresh, daemon=True).start()
    sys.stdin.readline()
    say("ending")
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        signal.raise_signal(signal.SIGINT)


def fork(credential, engine) -> None:
    """A child goes on with the engine that its parent uses, and with a lock that another thread held when it was forked."""
    say("held", credential.token().token_type)
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        from linkauth.background import BACKGROUND

        with BACKGROUND._lock:
            held.set()
            done.wait()

    threading.Thread(target=hold).start()
    held.wait()
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer warn of a fork beside threads
    pid = os.fork()
    if pid == 0:
        done.set()
        credential.refresh()
        say("child", credential.token().token_type)
        sys.exit(0)
    done.set()
    say("ended", os.waitpid(pid, 0)[1])
    credential.refresh()
    say("parent", len(list(engine.statuses())))


def main() -> None:
    what, store, arguments = sys.argv[1:4]
    engine = AuthEngine(store)
    credential = engine.credential(OAuth2(**json.loads(arguments)), "ada")
    if what == "fork":
        with engine:
            fork(credential, engine)
    else:
        renew_and_end(credential, what)


if __name__ == "__main__":
    main()
