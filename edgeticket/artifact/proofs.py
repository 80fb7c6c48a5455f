"""What an artifact's manifest says of its proof: of the graph in float64, and of the file in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["proved", "refuted", "not proved", "measured"]


@dataclass(frozen=True)
class GraphProof:
    """The simplified network beside the original, both in float64; graph/proving/graph_proof.py derives the tolerance.

    verdict: 'proved', 'refuted', or 'not proved' where float64 could not be run: `reason` says why.
    max_abs_delta, tolerance: of the output and feed that came nearest to its tolerance.
    in_float32: operators that nothing here runs in float64: what depends on them is held to float32's tolerance.
    """

    verdict: Verdict
    reason: str
    max_abs_delta: float | None = None
    tolerance: float | None = None
    samples: int = 0
    in_float32: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProofInfo:
    """What running the exported file beside the masked network found; graph/proving/proof.py derives the tolerance.

    verdict: 'proved', 'refuted' (an output moved too far), 'not proved' (nothing could be compared), or 'measured'
        (values are stored as fp16 or int8: outputs move on purpose, and no tolerance applies to the file).
    max_abs_delta: largest |exported - original| over all finite float outputs.
    output: the one that came nearest to its tolerance, with `tolerance`, `delta` (how far the file lies from float64,
        or from the original where float64 was not run), float64_error (how far the original lies from float64 there)
        and output_range (its largest less its smallest value).
    top1_agreement: share of rows with the same argmax over axis 1, for the first two-dimensional float output.
    nonfinite: outputs of the original that are NaN or infinite; nonfinite_differ of them are not the same in the
        exported one (a removed zero no longer passes on a NaN or an infinity).
    discrete: outputs that are no floats (class numbers, flags); discrete_differ of them changed, which only rounding
        of stored values may do.
    graph: where values are stored rounded, the proof of the same graph with its values in fp32; None where the file
        itself was held to the tolerance.
    in_float64: the proof of the graph; None in an artifact of 0.1.0, which had none.
    not_compared: what the verdict does not cover: outputs that said nothing on any input, weights too large to rebuild.
    """

    verdict: Verdict
    reason: str
    max_abs_delta: float | None = None
    top1_agreement: float | None = None
    tolerance: float | None = None
    delta: float | None = None
    float64_error: float | None = None
    samples: int = 0
    nonfinite: int = 0
    nonfinite_differ: int = 0
    discrete: int = 0
    discrete_differ: int = 0
    graph: ProofInfo | None = None
    output: str | None = None
    output_range: float | None = None
    in_float64: GraphProof | None = None
    not_compared: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """No output moved by more than rounding."""
        return self.verdict == "proved"


def leave_out_absent(proof: dict[str, Any]) -> None:
    """Leave out what 0.1.0 did not know where there is nothing to say: its manifests are written back as they were."""
    for name in ("output", "output_range", "in_float64", "not_compared"):
        if proof[name] is None or proof[name] == ():
            del proof[name]
    if proof["graph"] is not None:
        leave_out_absent(proof["graph"])
