"""A Hyperliquid for tests: answers by request type, user and dex, made from short descriptions of accounts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aggregator.reading.venue import VenueRequest
from aggregator.reading.venue_kit import VenueScript, answering

USER = "0x" + "a1" * 20
SUB = "0x" + "b2" * 20
VAULT = "0x" + "c3" * 20
TIME_MS = 1_790_000_000_000
EVM_UBTC = "0x" + "9f" * 20


def position(coin: str, size: str, value: str, profit: str, margin: str, leverage: int, most: int | None, **more: Any) -> dict[str, Any]:
    """A cross position; with `raw_usd` an isolated one."""
    raw = more.pop("raw_usd", None)
    chosen: dict[str, Any] = {"type": "cross" if raw is None else "isolated", "value": leverage}
    if raw is not None:
        chosen["rawUsd"] = raw
    return {
        "type": "oneWay",
        "position": {
            "coin": coin,
            "szi": size,
            "leverage": chosen,
            "entryPx": more.pop("entry", "1.0"),
            "positionValue": value,
            "unrealizedPnl": profit,
            "returnOnEquity": "0.0",
            "liquidationPx": more.pop("liquidation", None),
            "marginUsed": margin,
            **({} if most is None else {"maxLeverage": most}),
            "cumFunding": {"allTime": "1.0", "sinceOpen": "1.0", "sinceChange": "1.0"},
        },
    }


def state(
    value: str = "0.0",
    raw: str | None = None,
    used: str = "0.0",
    maintenance: str = "0.0",
    positions: tuple[dict[str, Any], ...] = (),
    *,
    cross: tuple[str, str, str] | None = None,
    withdrawable: str = "0.0",
    time: int | None = TIME_MS,
) -> dict[str, Any]:
    """A clearinghouse state. `cross` is value, raw dollars and margin of the cross part where it is not the whole."""
    whole = (value, raw if raw is not None else value, used)
    part = cross if cross is not None else whole

    def summary(three: tuple[str, str, str]) -> dict[str, str]:
        return {"accountValue": three[0], "totalRawUsd": three[1], "totalMarginUsed": three[2], "totalNtlPos": "0.0"}

    return {
        "marginSummary": summary(whole),
        "crossMarginSummary": summary(part),
        "crossMaintenanceMarginUsed": maintenance,
        "withdrawable": withdrawable,
        "assetPositions": list(positions),
        **({} if time is None else {"time": time}),
    }


def balance(coin: str, token: int | None, total: str, hold: str = "0.0", **more: str) -> dict[str, Any]:
    return {"coin": coin, **({} if token is None else {"token": token}), "total": total, "hold": hold, "entryNtl": "0.0", **more}


DEXES: list[Any] = [None, {"name": "flx", "fullName": "Felix"}, {"name": "xyz", "fullName": "XYZ"}]


def meta(
    collateral: int, *listings: tuple[str, int, int], tables: tuple[tuple[int, tuple[tuple[str, int], ...]], ...] = ()
) -> dict[str, Any]:
    return {
        "universe": [{"name": name, "szDecimals": 2, "maxLeverage": most, "marginTableId": table} for name, most, table in listings],
        "marginTables": [
            [number, {"description": "", "marginTiers": [{"lowerBound": bound, "maxLeverage": most} for bound, most in tiers]}]
            for number, tiers in tables
        ],
        "collateralToken": collateral,
    }


METAS = [
    meta(
        0,
        ("BTC", 40, 56),
        ("ETH", 25, 55),
        ("SOL", 20, 20),
        ("HYPE", 10, 10),
        ("kPEPE", 10, 10),
        ("MEGA", 3, 3),
        tables=((56, (("0.0", 40), ("150000000.0", 20))), (55, (("0.0", 25), ("100000000.0", 15)))),
    ),
    meta(360, ("flx:CRCL", 3, 3), ("flx:TSLA", 10, 10)),
    meta(0, ("xyz:XYZ100", 20, 20)),
]
SPOT = [
    {
        "tokens": [
            {"name": "USDC", "index": 0, "evmContract": None},
            {"name": "HYPE", "index": 150, "evmContract": None},
            {"name": "UBTC", "index": 197, "evmContract": {"address": EVM_UBTC, "evm_extra_wei_decimals": 10}},
            {"name": "USDH", "index": 360, "evmContract": None},
            {"name": "MAX", "index": 734, "evmContract": None},
        ],
        "universe": [
            {"name": "@107", "tokens": [150, 0], "index": 107},
            {"name": "@142", "tokens": [197, 0], "index": 142},
            {"name": "@230", "tokens": [360, 0], "index": 230},
            {"name": "@231", "tokens": [150, 360], "index": 231},
        ],
    },
    [
        {"coin": "@107", "markPx": "50.0", "midPx": "50.1"},
        {"coin": "@142", "markPx": "60000.0", "midPx": None},
        {"coin": "@230", "markPx": "0.999", "midPx": "0.999"},
        {"coin": "@231", "markPx": "49.0", "midPx": "49.0"},
    ],
]
RESERVES = [
    [0, {"oraclePx": "1.0", "ltv": "0.0"}],
    [150, {"oraclePx": "50.2", "ltv": "0.65"}],
    [197, {"oraclePx": "60100.0", "ltv": "0.5"}],
]


@dataclass
class Account:
    """What one address answers."""

    states: dict[str, Any] = field(default_factory=dict)
    spot: dict[str, Any] = field(default_factory=lambda: {"balances": []})
    mode: str | None = "default"
    lending: dict[str, Any] = field(default_factory=lambda: {"tokenToState": [], "health": "healthy", "healthFactor": None})
    vaults: list[Any] = field(default_factory=list)
    staking: dict[str, Any] = field(
        default_factory=lambda: {"delegated": "0.0", "undelegated": "0.0", "totalPendingWithdrawal": "0.0", "nPendingWithdrawals": 0}
    )
    subs: list[Any] | None = None


def hyperliquid(account: Account, *, without: tuple[str, ...] = (), dexes: Any = None, metas: Any = None, user: str = USER) -> VenueScript:
    """A script. `without` names request types that are not answered, `TYPE:DEX` for the state on one dex."""

    def answer(request: VenueRequest) -> Any:
        body = dict(request.body)
        kind, dex = str(body["type"]), str(body.get("dex", ""))
        if request.path != "/info" or kind in without or f"{kind}:{dex}" in without:
            raise KeyError(kind)
        common = {
            "perpDexs": DEXES if dexes is None else dexes,
            "allPerpMetas": METAS if metas is None else metas,
            "spotMetaAndAssetCtxs": SPOT,
            "allBorrowLendReserveStates": RESERVES,
        }
        if kind in common:
            return common[kind]
        whose = account if body["user"] == user else Account()
        return {
            "clearinghouseState": whose.states.get(dex, state()),
            "spotClearinghouseState": whose.spot,
            "userAbstraction": whose.mode,
            "borrowLendUserState": whose.lending,
            "userVaultEquities": whose.vaults,
            "delegatorSummary": whose.staking,
            "subAccounts2": whose.subs,
        }[kind]

    return answering(answer)
