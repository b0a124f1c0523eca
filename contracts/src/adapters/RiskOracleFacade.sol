// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IRiskOracle} from "../interfaces/IRiskOracle.sol";
import {IRiskParameterOracle} from "../interfaces/IRiskParameterOracle.sol";
import {CONFIDENCE_SHIFT, LANE_MAX} from "../oracle/Lanes.sol";
import {Stamp} from "../oracle/Stamp.sol";
import {Field, Fields} from "./Fields.sol";

/// @title Margrave under consumers of a publish-once risk oracle.
/// @notice Every field of every market is an update type, named as in the wire table; its newest update is the newest
/// round. Values are `abi.encode(int256)` as published, with the field's decimals, which for figures that are never
/// negative reads as `abi.encode(uint256)` too. `additionalData` is `abi.encode(uint256 confidenceBp, uint8 status)`.
/// @dev An id is `round << 24 | market << 8 | field + 1`: never zero, rising with each round of a market and type, and
/// found again without storage. Ids have gaps, so there is no counter to walk. The addresses that consumers know
/// markets by are fixed here: another list is another facade.
contract RiskOracleFacade is IRiskParameterOracle {
    using Fields for Field;
    using Stamp for uint256;

    IRiskOracle public immutable oracle;
    uint256 private immutable _period;
    mapping(address market => uint256 idPlusOne) private _idOf;
    mapping(uint256 id => address market) private _marketOf;
    mapping(bytes32 updateType => uint256 fieldPlusOne) private _fieldOf;

    /// @notice A consumer may ask for this address and gets the oracle's market `id`.
    event Listed(address indexed market, uint16 id);

    error LengthMismatch(uint256 markets, uint256 ids);
    error ListedTwice(address market, uint16 id);
    error UnknownMarket(address market);
    error UnknownUpdateType(string updateType);
    error UnknownUpdate(uint256 updateId);
    error Unusable(address market, IRiskOracle.Status status);

    constructor(IRiskOracle oracle_, address[] memory markets, uint16[] memory ids) {
        if (markets.length != ids.length) revert LengthMismatch(markets.length, ids.length);
        oracle = oracle_;
        _period = oracle_.period();
        for (uint256 i = 0; i < markets.length; ++i) {
            if (_idOf[markets[i]] != 0 || _marketOf[ids[i]] != address(0)) revert ListedTwice(markets[i], ids[i]);
            if (markets[i] == address(0)) revert UnknownMarket(markets[i]);
            _idOf[markets[i]] = uint256(ids[i]) + 1;
            _marketOf[ids[i]] = markets[i];
            emit Listed(markets[i], ids[i]);
        }
        for (uint256 i = 0; i < Fields.COUNT; ++i) {
            _fieldOf[keccak256(bytes(Field(i).name()))] = i + 1;
        }
    }

    /// @inheritdoc IRiskParameterOracle
    /// @dev Reverts for a market that is empty, stale or halted: its consumer cannot see the status, and an update that
    /// must not be used is for it one that is not there.
    function getLatestUpdateByParameterAndMarket(string calldata updateType, address market)
        external
        view
        returns (RiskParameterUpdate memory)
    {
        uint16 id = _id(market);
        Field field = _field(updateType);
        (uint256 risk, uint256 word,, IRiskOracle.Status status) = oracle.read(id);
        _requireUsable(market, status);
        return _update(id, field, risk, word, status, 0);
    }

    /// @inheritdoc IRiskParameterOracle
    /// @dev The newest update, while its market is usable, or an older one that the market's history ring still holds.
    function getUpdateById(uint256 updateId) external view returns (RiskParameterUpdate memory) {
        uint256 fieldPlusOne = updateId & 0xff;
        uint16 id = uint16(updateId >> 8);
        uint256 round = updateId >> 24;
        address market = _marketOf[id];
        if (market == address(0) || fieldPlusOne == 0 || fieldPlusOne > Fields.COUNT) revert UnknownUpdate(updateId);
        (uint256 risk, uint256 word,, IRiskOracle.Status status) = oracle.read(id);
        _requireUsable(market, status);
        if (round > _roundOf(word)) revert UnknownUpdate(updateId);
        uint256 back = 0;
        while (_roundOf(word) > round) {
            (risk, word) = oracle.historyOf(id, ++back);
        }
        // A market that governance resumed carries the time of that, which is no observation.
        if (_roundOf(word) != round || word.has(Stamp.RESUMED)) revert UnknownUpdate(updateId);
        return _update(id, Field(fieldPlusOne - 1), risk, word, status, back);
    }

    /// @notice The id of the newest update of a parameter of a market; zero when there is none or it must not be used.
    function latestUpdateIdByMarketAndType(address market, string calldata updateType) external view returns (uint256) {
        (, uint256 word,, IRiskOracle.Status status) = oracle.read(_id(market));
        return _usable(status) ? _updateId(_id(market), _field(updateType), word) : 0;
    }

    /// @notice Every name that an update may have.
    function getAllUpdateTypes() external pure returns (string[] memory names) {
        names = new string[](Fields.COUNT);
        for (uint256 i = 0; i < Fields.COUNT; ++i) {
            names[i] = Field(i).name();
        }
    }

    /// @notice Decimals of an update type's values.
    function decimalsOf(string calldata updateType) external view returns (uint8) {
        return _field(updateType).decimals();
    }

    function _update(uint16 id, Field field, uint256 risk, uint256 word, IRiskOracle.Status status, uint256 back)
        private
        view
        returns (RiskParameterUpdate memory x)
    {
        x.timestamp = word.observedAt();
        x.newValue = abi.encode(field.valueOf(risk, word));
        x.referenceId = "margrave";
        x.updateType = field.name();
        x.updateId = _updateId(id, field, word);
        x.market = _marketOf[id];
        x.additionalData = abi.encode(word >> CONFIDENCE_SHIFT & LANE_MAX, status);
        x.previousValue = _valueBefore(id, field, back);
    }

    /// @dev Empty where the market's history ring does not reach.
    function _valueBefore(uint16 id, Field field, uint256 back) private view returns (bytes memory) {
        try oracle.historyOf(id, back + 1) returns (uint256 risk, uint256 word) {
            return word == 0 ? bytes("") : abi.encode(field.valueOf(risk, word));
        } catch {
            return "";
        }
    }

    function _updateId(uint16 id, Field field, uint256 word) private view returns (uint256) {
        return _roundOf(word) << 24 | uint256(id) << 8 | uint256(field) + 1;
    }

    function _roundOf(uint256 word) private view returns (uint256) {
        return word.observedAt() / _period;
    }

    function _requireUsable(address market, IRiskOracle.Status status) private pure {
        if (!_usable(status)) revert Unusable(market, status);
    }

    function _usable(IRiskOracle.Status status) private pure returns (bool) {
        return status == IRiskOracle.Status.FRESH || status == IRiskOracle.Status.AGING;
    }

    function _id(address market) private view returns (uint16) {
        uint256 idPlusOne = _idOf[market];
        if (idPlusOne == 0) revert UnknownMarket(market);
        return uint16(idPlusOne - 1);
    }

    function _field(string calldata updateType) private view returns (Field) {
        uint256 fieldPlusOne = _fieldOf[keccak256(bytes(updateType))];
        if (fieldPlusOne == 0) revert UnknownUpdateType(updateType);
        return Field(fieldPlusOne - 1);
    }
}
