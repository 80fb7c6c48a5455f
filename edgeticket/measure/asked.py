"""What measurements are asked for: providers and numbers of threads, a run for each pair, and a budget's host."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgeticket.arguments import require_whole, several
from edgeticket.artifact import checks
from edgeticket.errors import InputError


class AskedRuns:
    """What requests have in common that name `providers` and `threads`, one or several of each."""

    providers: str | Sequence[str]
    threads: int | Sequence[int]

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The providers to measure on, in order."""
        return several(self.providers)

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """The numbers of threads to measure at, in order."""
        return several(self.threads)

    def require_runs(self) -> None:
        """Refuse a request for no run, and for more threads than this process has cores.

        Raises:
            InputError: it is such a one.
        """
        if not self.provider_names or not self.thread_counts:
            raise InputError("--providers and --threads need one value at least")
        for provider in self.provider_names:
            if not isinstance(provider, str) or not provider:
                raise InputError(f"--providers {provider!r}: give names, as in cpu,sparse")
        for threads in self.thread_counts:
            require_threads(threads)


def require_threads(threads: int) -> None:
    """Refuse what is no number of threads, and more threads than this process has cores.

    Raises:
        InputError: it is such a number.
    """
    require_whole("--threads", threads, 1)
    cores = checks.cores()
    if threads > cores:
        raise InputError(
            f"--threads {threads}: this process may use {checks.plural(cores, 'core')}, and threads that share one "
            "measure the scheduler"
        )


def require_budget_host(given: str) -> None:
    """Refuse what is no host of a budget: 'any', 'this', or the fingerprint of one.

    Raises:
        InputError: it is none of these.
    """
    if not isinstance(given, str) or not re.fullmatch("any|this|[0-9a-f]{12}", given):
        raise InputError(
            f"--budget-host {given!r}: give any, this, or the fingerprint of a host, 12 digits and letters "
            f"(`edgeticket check DIR --json -` prints it; here it is {checks.host()['fingerprint']})"
        )
