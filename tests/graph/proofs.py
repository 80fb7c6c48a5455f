"""Two ways to ask for a proof: over a whole set, and over single feeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from edgeticket.artifact.manifest import ProofInfo
from edgeticket.graph.proving.proof import proof
from edgeticket.graph.proving.samples import ProofInputs, whole_set
from edgeticket.graph.simplify import Simplified

Feed = Mapping[str, NDArray[Any]]


def prove(original: onnx.ModelProto, exported: bytes, inputs: Feed, *, exact: bool = True) -> ProofInfo:
    """Compare over a whole set: `inputs` maps each input's name to [n, ...]. `exact` is False for fp16 and int8."""
    return proof(original, exported, whole_set(original, inputs), exact=exact).info


def prove_feeds(
    original: onnx.ModelProto,
    exported: bytes,
    feeds: Sequence[Feed],
    *,
    samples: Sequence[Feed] | None = None,
    simplified: Simplified | None = None,
) -> ProofInfo:
    """Compare over feeds, of which `samples` are the usual ones (None: all of them)."""
    usual = feeds if samples is None else samples or feeds[:1]
    extreme = [feed for feed in feeds if not any(feed is each for each in usual)]
    return proof(original, exported, ProofInputs(usual, extreme), simplified=simplified).info
