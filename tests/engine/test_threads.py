"""One session, eight threads, batches of any size: each thread gets, bit for bit, what one thread alone gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
from float64 import tolerances
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import images, rows
from small_models import feed, session
from test_random_graphs import bounded

THREADS = 8


def shared(proto: onnx.ModelProto, seed: int, **options: str) -> None:
    made = session(proto, claim="always", pool=2, **options)
    rng = np.random.default_rng(seed)
    feeds = [feed(proto, seed=i, N=int(rng.integers(1, 6))) for i in range(3 * THREADS)]
    alone = [made.run(None, each) for each in feeds]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda each: made.run(None, each), feeds))
    for one, many in zip(alone, together, strict=True):
        for a, b in zip(one, many, strict=True):
            np.testing.assert_array_equal(a, b)


@settings(bounded, max_examples=40)
@given(st.one_of(images("N"), rows("N")), st.integers(0, 99), st.sampled_from([None, "1", "2"]))
def test_shared_sessions(proto: onnx.ModelProto, seed: int, threads: str | None) -> None:
    """With the number of the pool's threads given as an option, or found out by the first runs."""
    shared(proto, seed, **({} if threads is None else {"threads": threads}))


@settings(bounded, max_examples=60)
@given(st.one_of(images("N"), rows("N")), st.integers(1, 5))
def test_two_threads_give_what_one_gives(proto: onnx.ModelProto, batch: int) -> None:
    feeds = feed(proto, N=batch)
    tolerance = tolerances(proto, feeds)
    one = session(proto, claim="always", pool=1, threads="1")
    names = [output.name for output in one.get_outputs()]
    two = session(proto, claim="always", pool=2, threads="2").run(names, feeds)
    for name, a, b in zip(names, one.run(names, feeds), two, strict=True):
        assert (np.abs(a.astype(np.float64) - b) <= 2 * tolerance[name]).all()
