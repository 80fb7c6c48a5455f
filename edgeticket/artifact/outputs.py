"""One inference whose outputs are arrays: sequences, maps and texts as `checks.flattened` has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edgeticket import runtime
from edgeticket.artifact import checks

Array = NDArray[Any]


def run(running: runtime.Session, feed: Mapping[str, Array], names: Sequence[str] | None = None) -> dict[str, Array]:
    """Output name -> array, for `names` or all; names that flattening made are names too.

    Raises:
        InputError: the runtime refused the inputs (names, shapes, types) or failed on them.
    """
    found = checks.flattened(runtime.run(running, feed, None if names is None else checks.listed(running, names)))
    return found if names is None else {name: found[name] for name in names}
