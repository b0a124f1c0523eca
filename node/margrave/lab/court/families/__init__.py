"""Who may be called before the court, by name.

Each kind's package lists its own in `FAMILIES` (a name and its role); adding a family is adding a file there and a
line to that list. What a family is, `lab.court.family` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from margrave.errors import Fatal
from margrave.lab.court.family import TailFamily, VolatilityFamily


class Kind(StrEnum):
    VOLATILITY = "volatility"
    TAILS = "tails"


class Role(StrEnum):
    """What a family is there for. Targets compare OURS with the baselines; a REFERENCE is the one baseline
    that a whole kind is measured by (ES-CAViaR for tails); a CANDIDATE is shown and judged like the others."""

    BASELINE = "baseline"
    REFERENCE = "reference"
    CANDIDATE = "candidate"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Listed:
    """A family and its role. The family is pickled to be fitted elsewhere: a frozen dataclass of settings will do."""

    family: VolatilityFamily | TailFamily
    role: Role
    kind: Kind

    @property
    def name(self) -> str:
        return self.family.name


def everyone() -> tuple[Listed, ...]:
    """All families of both kinds, volatility first.

    Raises:
        Fatal: two have one name.
    """
    from margrave.lab.court.families import tails, volatility

    found = [Listed(family, role, Kind.VOLATILITY) for family, role in volatility.FAMILIES]
    found += [Listed(family, role, Kind.TAILS) for family, role in tails.FAMILIES]
    names = [listed.name for listed in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Fatal(f"two families are called {', '.join(twice)}", advice="name them apart")
    return tuple(found)


def not_called() -> tuple[str, ...]:
    """In plain words, families that cannot be called here, and what to do."""
    from margrave.lab.court.families import tails

    return tails.not_called()


def chosen(words: Sequence[str], among: Sequence[Listed]) -> tuple[Listed, ...]:
    """Those that are named, with every baseline of their kind, which they are judged against; a kind's word names all
    of it; all without words.

    Raises:
        Fatal: a word is nobody's.
    """
    if not words:
        return tuple(among)
    known = {listed.name: listed.kind for listed in among}
    if missing := sorted(set(words) - {*known, *Kind}):
        raise Fatal(f"no family is called {', '.join(missing)}", advice=f"choose among {', '.join([*Kind, *known])}")
    kinds = {known[word] for word in words if word in known}
    return tuple(
        listed
        for listed in among
        if listed.name in words
        or listed.kind in words
        or (listed.kind in kinds and listed.role in (Role.BASELINE, Role.REFERENCE))
    )
