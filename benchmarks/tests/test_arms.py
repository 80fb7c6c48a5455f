"""Sessions that take turns do not run into each other."""

from __future__ import annotations

import threading
import time

from arms import quiet


def burn(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_a_turn_waits_until_the_threads_of_the_one_before_rest() -> None:
    spinning = threading.Thread(target=burn, args=(0.2,))
    spinning.start()
    quiet()
    assert not spinning.is_alive()
