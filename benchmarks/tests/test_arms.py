"""Sessions that take turns do not run into each other."""

from __future__ import annotations

import hashlib
import threading

from arms import quiet
from machine import others_run


def test_a_turn_waits_until_the_threads_of_the_one_before_rest() -> None:
    numbers = bytes(300_000_000)  # hashing them takes a tenth of a second and more, without Python's lock
    busy = threading.Thread(target=hashlib.sha256, args=(numbers,))
    busy.start()
    quiet()
    assert not busy.is_alive()
    assert not others_run()
