"""A place where models are run and timed: one method, so that another machine is one more file in this folder."""

from __future__ import annotations

from typing import Literal, Protocol

from edgeticket.measure.protocol import Answer, Request


class NoAnswerError(Exception):
    """A process gave no answer.

    `kind`: it 'hung', was 'killed', 'failed' as a program, or a 'model' failed in it. `arm` is the model that failed;
    where the process hung or was killed, the model that was running, if that is known.
    """

    def __init__(
        self, kind: Literal["hung", "killed", "failed", "model"], sentence: str, arm: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.kind, self.arm = kind, arm


class Host(Protocol):
    """A machine that answers requests, each in a fresh process."""

    def ask(self, request: Request[Answer], limit_s: float) -> Answer:
        """Run this request in a fresh process, and give its answer within `limit_s` seconds.

        Every path in a request is one of this machine. A host elsewhere carries over the files that the request reads
        (of the arms, and those that Request.reads names), asks with protocol.relocated, and brings back those that
        Request.writes names.

        Raises:
            NoAnswerError: it hung, was killed, failed, or a model failed in it; no process of it is left.
        """
