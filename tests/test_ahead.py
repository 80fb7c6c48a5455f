"""Work that is begun ahead: its order, its results and errors, and what never runs."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from edgeticket.ahead import Ahead
from edgeticket.errors import ModelError


def test_work_runs_on_another_thread_before_it_is_asked_for() -> None:
    ran = threading.Event()
    here = threading.get_ident()

    def work() -> int:
        ran.set()
        return threading.get_ident()

    with Ahead() as ahead:
        result = ahead.begin(work)
        assert ran.wait(timeout=60), "nobody has asked for it"
        assert result() != here


def test_work_runs_in_the_order_in_which_it_was_begun() -> None:
    order: list[int] = []

    def numbered(number: int) -> Callable[[], None]:
        return lambda: order.append(number)

    with Ahead() as ahead:
        results = [ahead.begin(numbered(number)) for number in range(20)]
        for result in reversed(results):
            result()
    assert order == list(range(20))


def test_work_that_is_not_begun_now_runs_where_and_when_it_is_asked_for() -> None:
    ran: list[int] = []
    with Ahead() as ahead:
        result = ahead.begin(lambda: ran.append(threading.get_ident()), now=False)
        assert not ran
        result()
    assert ran == [threading.get_ident()]


def test_what_it_raised_is_raised_where_the_result_is_asked_for() -> None:
    def work() -> None:
        raise ModelError("this file is damaged")

    with Ahead() as ahead:
        result = ahead.begin(work)
        with pytest.raises(ModelError, match="this file is damaged"):
            result()


def test_what_still_waits_at_the_end_never_runs() -> None:
    running, ended = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        running.set()
        ended.wait(timeout=60)
        ran.append("first")

    with Ahead() as ahead:
        ahead.begin(first)
        ahead.begin(lambda: ran.append("second"))
        assert running.wait(timeout=60)
        threading.Timer(0.1, ended.set).start()  # while the end waits for the one that runs
    assert ran == ["first"]
