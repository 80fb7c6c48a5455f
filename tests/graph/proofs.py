"""Ways to ask for a proof: over a whole set, over single feeds, over made-up ones; and of the weights of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from edgeticket.artifact.manifest import LayerInfo, ProofInfo
from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.proving.proof import proof
from edgeticket.graph.proving.samples import ProofInputs, whole_set
from edgeticket.graph.proving.static import stored_weights
from edgeticket.graph.proving.static.stored_weights import evaluated
from edgeticket.graph.reading.load import parse_model
from edgeticket.graph.simplify import Simplified
from edgeticket.graph.storing.encoding import Weights

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


def prove_made_up(original: onnx.ModelProto, exported: bytes, simplified: Simplified) -> ProofInfo:
    """Compare over the inputs that are made up for a model."""
    usual, extreme = ([probe.feed for probe in probes(original) if probe.usual is wanted] for wanted in (True, False))
    return proof(original, exported, ProofInputs(usual, extreme), simplified=simplified).info


def rebuilt(model_bytes: bytes) -> Mapping[str, NDArray[Any]]:
    """Every constant of a stored file by name."""
    return evaluated(parse_model(model_bytes, "the exported model")).constants


def check_stored_weights(
    model_bytes: bytes,
    layers: Sequence[LayerInfo],
    *,
    planned: onnx.ModelProto | None = None,
    encoded: Mapping[str, Weights] | None = None,
    lossy: bool = False,
) -> tuple[str, ...]:
    """The check of stored_weights.py for the bytes of a file."""
    found = evaluated(parse_model(model_bytes, "the exported model"))
    return stored_weights.check_stored_weights(found, layers, planned=planned, encoded=encoded, lossy=lossy)
