"""The three ways something goes wrong, and nothing else.

::

    MargraveError
    ├── Transient   it may work next time: retry with back-off, count, go on
    ├── Rejected    this one thing is bad: drop it, count the reason, go on
    └── Fatal       going on would be wrong: stop the node (exit code 2)

Every error carries one line for an operator: what is wrong, then what to do. `str(error)` is that line.
"""

from __future__ import annotations

from margrave.verdicts import Rejection


class MargraveError(Exception):
    """What is wrong (`problem`) and what the operator can do about it (`advice`)."""

    def __init__(self, problem: str, *, advice: str) -> None:
        super().__init__(f"{problem} — {advice}")
        self.problem = problem
        self.advice = advice


class Transient(MargraveError):
    """A venue, an RPC endpoint or a peer did not answer as it should; trying again may help."""


class Rejected(MargraveError):
    """One reading, payload, attestation or file is refused for a named reason; the rest goes on."""

    def __init__(
        self, reason: Rejection, problem: str, *, advice: str = "no action: it is dropped and counted"
    ) -> None:
        super().__init__(problem, advice=advice)
        self.reason = reason


class Fatal(MargraveError):
    """The node must not go on: wrong chain, wrong key, wrong model, unreadable configuration."""
