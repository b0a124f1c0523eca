"""The access manager's calls about itself: how long each waits, and what it would change, in sentences.

Told from what holds now, by the rules of OpenZeppelin's AccessManager (`_getAdminRestrictions` and what it guards): who
is given a role waits for the role's grant delay, and a delay that shrinks holds until what it shrinks by has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_utils.abi import function_abi_to_4byte_selector
from web3.contract import Contract

from margrave.chain import artifacts
from margrave.chain.deployment.record import Record
from margrave.chain.deployment.roles import PERMISSIONS, Role

AUTHORITY: Final = "authority"
ANYBODY: Final = (1 << 64) - 1
"""The role that everybody has."""
OF_A_ROLE: Final = frozenset({"grantRole", "revokeRole"})
"""Asked of the role's own admin; every other call is asked of ADMIN."""
OF_A_TARGET: Final = frozenset({"updateAuthority", "setTargetClosed", "setTargetFunctionRole"})
"""They wait for the target's admin delay too."""
LOST: Final[Mapping[Role, str]] = {
    Role.ADMIN: "no role can be given or taken ever again",
    Role.GOVERNOR: "no vote can change what is GOVERNOR's",
    Role.GUARDIAN: "nobody can stop anything at once",
    Role.GOVERNOR_SLOW: "no vote can change what is GOVERNOR_SLOW's",
}


@dataclass(frozen=True, slots=True)
class Administration:
    """A deployment's access manager, asked about calls of its own."""

    record: Record
    manager: Contract

    def wait(self, function: str, arguments: Mapping[str, Any]) -> tuple[bool, int]:
        """Whether the timelock may call it at once, and if not after how many seconds; (False, 0): it may not.

        `canCall` does not know these delays.
        """
        role = self._ask("getRoleAdmin", arguments["roleId"]) if function in OF_A_ROLE else Role.ADMIN
        least_s = self._ask("getTargetAdminDelay", arguments["target"]) if function in OF_A_TARGET else 0
        member, delay_s = self._ask("hasRole", role, self.record.address("timelock"))
        wait_s = max(least_s, delay_s)
        return member and wait_s == 0, wait_s if member else 0

    def effects(self, function: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """What holds after the call and did not before, a sentence each.

        Args:
            function: a name of `SENTENCES`.
            arguments: by the names of the contract's parameters.
        """
        return tuple(SENTENCES[function](self, **arguments))

    # --- roles ------------------------------------------------------------------------------------------------------

    def _grant(self, roleId: int, account: str, executionDelay: int) -> list[str]:  # noqa: N803 - the contract's names
        role, who = _role(roleId), self._name(account)
        since, delay_s, pending_s, effect = self._ask("getAccess", roleId, account)
        if since == 0:
            later_s = self._ask("getRoleGrantDelay", roleId)
            begins = f"{later_s} s after the execution" if later_s else "with the execution"
            waits = f"waits {executionDelay} s" if executionDelay else "does not wait"
            return [f"{who} gets {role} {begins}; what it then calls {waits}.", *self._strange(roleId, account)]
        told = [f"{who} holds {role} already: {_changed('its calls wait', delay_s, executionDelay, 0)}."]
        return [*told, f"Its change to {pending_s} s, on its way now, is overruled."] if effect else told

    def _revoke(self, roleId: int, account: str) -> list[str]:  # noqa: N803
        role, who = _role(roleId), self._name(account)
        if self._ask("getAccess", roleId, account)[0] == 0:
            return [f"{who} does not hold {role}: nothing changes."]
        told = [f"{who} loses {role} with the execution."]
        if account == self._holder(roleId):
            told.append(f"Unless somebody else holds {role}, {LOST[Role(roleId)]}.")
        return told

    def _label(self, roleId: int, label: str) -> list[str]:  # noqa: N803
        return [f"{_role(roleId)} is called {label!r} in the log; nothing else changes."]

    def _admin(self, roleId: int, admin: int) -> list[str]:  # noqa: N803
        before = self._ask("getRoleAdmin", roleId)
        return [f"Who gives and takes {_role(roleId)}: {_instead(_role(before), _role(admin))}."]

    def _guardian(self, roleId: int, guardian: int) -> list[str]:  # noqa: N803
        before = self._ask("getRoleGuardian", roleId)
        return [f"Who may cancel what waits for {_role(roleId)}: {_instead(_role(before), _role(guardian))}."]

    def _grant_delay(self, roleId: int, newDelay: int) -> list[str]:  # noqa: N803
        before_s, least_s = self._ask("getRoleGrantDelay", roleId), self._ask("minSetback")
        return [f"{_role(roleId)}: {_changed('a new holder waits for it', before_s, newDelay, least_s)}."]

    # --- contracts --------------------------------------------------------------------------------------------------

    def _admin_delay(self, target: str, newDelay: int) -> list[str]:  # noqa: N803
        before_s, least_s = self._ask("getTargetAdminDelay", target), self._ask("minSetback")
        what = "a change of its functions' roles, its closing and its authority wait at least"
        return [f"{self._name(target)}: {_changed(what, before_s, newDelay, least_s)}."]

    def _closed(self, target: str, closed: bool) -> list[str]:
        name = self._name(target)
        if self._ask("isTargetClosed", target) == closed:
            return [f"{name} is {'closed' if closed else 'open'} already: nothing changes."]
        if target == self.manager.address:
            return [f"{name} is {'closed' if closed else 'opened'}; its calls about itself go on all the same."]
        if closed:
            return [f"{name} is closed: its restricted functions refuse everybody, the guardian and votes too."]
        return [f"{name} is opened: its restricted functions obey their roles again."]

    def _function_role(self, target: str, selectors: list[bytes], roleId: int) -> list[str]:  # noqa: N803
        key = self._key(target)
        functions = _functions(self.record.contracts[key].artifact) if key else {}
        planned = {name: role for role, names in PERMISSIONS.get(key or "", {}).items() for name in names}
        told = []
        for selector in selectors:
            name = functions.get(bytes(selector), "0x" + selector.hex())
            before = self._ask("getTargetFunctionRole", target, selector)
            told.append(f"Who may call {key or target}.{name}: {_instead(_role(before), _role(roleId))}.")
            if planned.get(name, Role.ADMIN) != roleId:
                told.append(
                    f"scripts/deploy check will report {name}: it knows it as {planned.get(name, Role.ADMIN).name}'s."
                )
        return told

    def _authority(self, target: str, newAuthority: str) -> list[str]:  # noqa: N803
        name = self._name(target)
        return [f"{name} obeys {self._name(newAuthority)} and no longer this access manager, its roles and its delays."]

    # --- names ------------------------------------------------------------------------------------------------------

    def _ask(self, view: str, *arguments: Any) -> Any:
        return self.manager.functions[view](*arguments).call()

    def _key(self, address: str) -> str | None:
        return next((key for key, made in self.record.contracts.items() if made.address == address), None)

    def _name(self, address: str) -> str:
        key = self._key(address)
        if key is None and self.record.powers is not None and address == self.record.powers.guardian:
            key = "guardian"
        return f"{key} {address}" if key else address

    def _holder(self, role: int) -> str | None:
        """Who alone has a role by the deployment file."""
        if role == Role.GUARDIAN:
            return self.record.powers.guardian if self.record.powers else None
        return self.record.address("timelock") if role in set(Role) else None

    def _strange(self, role: int, account: str) -> list[str]:
        holder = self._holder(role)
        if account == holder:
            return []
        known = f"it knows {_role(role)} as {self._name(holder)}'s alone" if holder else "it knows no such role"
        return [f"scripts/deploy check will report it: {known}."]


SENTENCES: Final[Mapping[str, Callable[..., list[str]]]] = {
    "grantRole": Administration._grant,
    "revokeRole": Administration._revoke,
    "labelRole": Administration._label,
    "setRoleAdmin": Administration._admin,
    "setRoleGuardian": Administration._guardian,
    "setGrantDelay": Administration._grant_delay,
    "setTargetAdminDelay": Administration._admin_delay,
    "setTargetClosed": Administration._closed,
    "setTargetFunctionRole": Administration._function_role,
    "updateAuthority": Administration._authority,
}
"""The calls that need a vote; the others are open to whom they concern."""


def _role(number: int) -> str:
    if number == ANYBODY:
        return "everybody"
    return Role(number).name if number in set(Role) else f"role {number}"


def _instead(before: str, then: str) -> str:
    return f"{then}, as now" if before == then else f"{then} instead of {before}"


def _changed(what: str, before_s: int, then_s: int, least_s: int) -> str:
    """A delay's change and when it comes into force: what it shrinks by must pass first, and at least `least_s`."""
    if before_s == then_s:
        return f"{what} {then_s} s, as now"
    after_s = max(least_s, before_s - then_s)
    return f"{what} {then_s} s instead of {before_s} s, from {after_s} s after the execution on"


def _functions(artifact: str) -> dict[bytes, str]:
    """Names by selector."""
    functions = [entry for entry in artifacts.load(artifact).abi if entry["type"] == "function"]
    return {bytes(function_abi_to_4byte_selector(entry)): entry["name"] for entry in functions}  # type: ignore[arg-type]
