"""The pruning criteria by name. Each is a module that holds `score`; the weights of smallest score are pruned.

A row names the module, and `scores.py` imports it when it is asked for: a command line lists the names without torch.
"""

from __future__ import annotations

DEFAULT = "magnitude"
CRITERIA: dict[str, str] = {
    "magnitude": "edgeticket.lottery.criteria.magnitude",
}
