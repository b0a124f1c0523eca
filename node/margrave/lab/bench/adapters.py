"""What reading through the adapters costs: a price feed and the facade, compiled as they would be deployed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import solcx

from margrave.errors import Fatal
from margrave.lab.bench.peers.wire import Chain, call_data
from margrave.lab.contracts import COMPILER_SETTINGS
from margrave.lab.package.build import PROJECT, sources
from margrave.lab.package.fields import fields

FEED: Final = "adapters/AggregatorV3Adapter.sol"
FACADE: Final = "adapters/RiskOracleFacade.sol"
MARKET: Final = "0x" + "b7" * 20
"""An address that the facade's consumers know market 0 by."""


def reads(url: str, oracle: str) -> Mapping[str, int]:
    """Execution, cold, of each adapter's main read of market 0.

    Raises:
        Fatal: an adapter does not compile, or the market is not usable.
    """
    chain, code = Chain(url), _compiled()
    price = next(i for i, field in enumerate(fields()) if field.name == "price")
    feed = chain.create(code[FEED], ["address", "uint16", "uint8", "string"], [oracle, 0, price, "BTC / USD"])
    facade = chain.create(code[FACADE], ["address", "address[]", "uint16[]"], [oracle, [MARKET], [0]])
    update = call_data("getLatestUpdateByParameterAndMarket(string,address)", ["down_es999", MARKET])
    return {
        "AggregatorV3Adapter.latestRoundData": chain.execution(feed, call_data("latestRoundData()")),
        "RiskOracleFacade.getLatestUpdateByParameterAndMarket": chain.execution(facade, update),
    }


def _compiled() -> Mapping[str, str]:
    request: dict[str, Any] = {
        "language": "Solidity",
        "sources": {unit: {"content": text} for unit, text in sources(FEED, FACADE).items()},
        "settings": {
            **COMPILER_SETTINGS,
            "outputSelection": {unit: {"*": ["evm.bytecode.object"]} for unit in (FEED, FACADE)},
        },
    }
    try:
        contracts = solcx.compile_standard(request, solc_binary=PROJECT / "scripts" / "solc")["contracts"]
    except solcx.exceptions.SolcError as error:
        raise Fatal(error.message, advice="mend the contract") from error
    return {unit: "0x" + next(iter(contracts[unit].values()))["evm"]["bytecode"]["object"] for unit in (FEED, FACADE)}
