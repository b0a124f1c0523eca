"""Who may call what: the access manager's roles, and the role of every restricted function."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Role(IntEnum):
    """Role ids of the access manager.

    GOVERNOR and GOVERNOR_SLOW are the timelock's. What falls to the slow one decides whose figures, code or money
    count, and waits longer; the guardian may cancel it while it does. The guardian's own functions never loosen.
    """

    ADMIN = 0
    GOVERNOR = 1
    GUARDIAN = 2
    GOVERNOR_SLOW = 3


PERMISSIONS: Final[Mapping[str, Mapping[Role, tuple[str, ...]]]] = {
    "registry": {
        Role.GOVERNOR: (
            "setTiming",
            "setClass",
            "setMarkets",
            "setGroups",
            "setRings",
            "revokeModelSet",
            "unpause",
        ),
        Role.GOVERNOR_SLOW: ("connect", "setEpoch", "setKind", "approveModelSet"),
        Role.GUARDIAN: ("pause", "removeMember", "tightenClass"),
    },
    "oracle": {
        Role.GOVERNOR: ("resume",),
        Role.GUARDIAN: ("halt",),
    },
    "account_risk": {
        Role.GOVERNOR: ("setBounds", "clear"),
    },
    "prices": {
        Role.GOVERNOR: ("setDelay",),
        Role.GUARDIAN: ("dispute",),
    },
    "clearinghouse": {
        Role.GOVERNOR: ("setMarket", "reopen", "reopenEverywhere", "setCollateral"),
        Role.GOVERNOR_SLOW: ("addCollateral",),
        Role.GUARDIAN: ("setCloseOnly", "setCloseOnlyEverywhere"),
    },
    "auctions": {
        Role.GOVERNOR: ("setRules",),
    },
    "insurance": {
        Role.GOVERNOR_SLOW: ("release",),
    },
    "vault": {
        Role.GOVERNOR: ("setRules", "setMarketQuotes", "unpause"),
        Role.GOVERNOR_SLOW: ("setQuoter",),
        Role.GUARDIAN: ("pause",),
    },
}
"""By the contract's name in the deployment. What is missing here falls to ADMIN: slow, and nobody's by accident."""
