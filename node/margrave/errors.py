"""The three ways something goes wrong, and nothing else.

::

    MargraveError
    ├── Transient   it may work next time: retry with back-off, count, go on
    ├── Rejected    this one thing is bad: drop it, count the reason, go on
    └── Fatal       going on would be wrong: stop the node (exit code 2)

Every error carries one line for an operator: what is wrong, then what to do. `str(error)` is that line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from margrave.verdicts import Rejection


class MargraveError(Exception):
    """What is wrong (`problem`) and what the operator can do about it (`advice`)."""

    def __init__(self, problem: str, *, advice: str) -> None:
        super().__init__(f"{problem} — {advice}")
        self.problem = problem
        self.advice = advice

    def __reduce__(self) -> tuple[Callable[..., MargraveError], tuple[object, ...]]:
        # Another process must hear it too: pickle would call `__init__` with the line alone.
        return _again, (type(self), self.args, self.__dict__)


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


def _again(kind: type[MargraveError], args: tuple[object, ...], state: Mapping[str, object]) -> MargraveError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
