"""Documents of curves, simulations and rankings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aggregator.contagion.causes import Cause, CauseKind
from aggregator.contagion.concentration import Concentration
from aggregator.contagion.curves import Curve
from aggregator.contagion.equilibrium import Equilibrium
from aggregator.contagion.evidence import Evidence, Level, together
from aggregator.contagion.ledger import Line
from aggregator.contagion.money import MICRO
from aggregator.contagion.network import ExposureNetwork
from aggregator.contagion.ranking import Band, Ranking
from aggregator.contagion.shadow import Shadow
from aggregator.contagion.simulation import Simulation
from aggregator.engine.document import snapshot_document
from aggregator.engine.systemic import schema
from aggregator.engine.systemic.analysis import CurveStudy, NetworkCurve, collateral_held
from aggregator.model.book import Book, Floats
from aggregator.model.snapshot import Gap, Snapshot

SMALLEST_GAP = 0.005
"""relative difference of oracle and market up to which feeds merely speak at different times"""
SHOWN_GAPS, SHOWN_ACCOUNTS, SHOWN_PATHS = 50, 100, 20
MAXIMUM_PATH = 12


@dataclass(frozen=True, slots=True)
class Source:
    """Where a population or a network is from."""

    kind: str
    name: str
    accounts: int | None = None
    snapshots: tuple[Snapshot, ...] = ()
    gaps: tuple[Gap, ...] = field(default=())

    def document(self) -> schema.SourceDocument:
        return schema.SourceDocument(
            kind="chains" if self.kind == "chains" else "file",
            name=self.name,
            accounts=self.accounts,
            snapshots=tuple(snapshot_document(one) for one in self.snapshots),
            gaps=tuple(f"{gap.protocol} on {gap.chain}: {gap.what}: {gap.why}" for gap in self.gaps),
        )


def usd(value: float) -> str:
    """Cents; the sums of floats that stand behind it are good to many more digits than that."""
    return f"{value + 0.0:.2f}"


def known(value: float) -> str | None:
    """A ratio with ten significant digits; None where there is none."""
    return ratio(value) if np.isfinite(value) else None


def ratio(value: float) -> str:
    """Ten significant digits, never an exponent."""
    text = np.format_float_positional(float(f"{value:.10g}"), trim="-")
    return "0" if text in ("-0", "0") else text


def evidence_document(evidence: Evidence) -> schema.EvidenceDocument:
    share = None if np.isnan(evidence.known_share) else ratio(evidence.known_share)
    return schema.EvidenceDocument(known_share=share, sufficient=evidence.sufficient, missing=evidence.missing)


def _money(values: Floats) -> tuple[str, ...]:
    return tuple(usd(value) for value in values.tolist())


def _ratios(values: Floats) -> tuple[str, ...]:
    return tuple(ratio(value) for value in values.tolist())


def _group(curve: Curve, row: int) -> schema.GroupDocument:
    return schema.GroupDocument(
        name=curve.groups[row],
        liquidatable_debt_usd=_money(curve.liquidatable_debt[row]),
        collateral_at_risk_usd=_money(curve.collateral_at_risk[row]),
        bad_debt_usd=_money(curve.bad_debt[row]),
        accounts=tuple(curve.accounts[row].tolist()),
    )


def _concentration(one: Concentration) -> schema.ConcentrationDocument:
    there = one.holders > 0
    return schema.ConcentrationDocument(
        herfindahl=known(one.herfindahl),
        effective_number=known(one.effective_number),
        largest=ratio(one.top_shares[0]) if there else None,
        top_10=ratio(one.top_shares[min(9, len(one.top_shares) - 1)]) if there else None,
        gini=known(one.gini),
        holders=one.holders,
    )


def market_name(book: Book, code: int) -> str:
    """A market for people: its label, or its assets where it has one on each side, or the start of its long name."""
    one = book.markets[code]
    label = one.label or _pair(book, code) or (one.market if len(one.market) <= 14 else f"{one.market[:6]}…")
    return f"{one.protocol} {label} on {one.chain}"


def _pair(book: Book, code: int) -> str:
    mine = book.reserves.market == code
    held, owed = ((np.diff(side.pointers) > 0) & mine for side in (book.collateral, book.debt))
    sides = [list(dict.fromkeys(book.assets[int(asset)].symbol for asset in book.reserves.asset[used])) for used in (held, owed)]
    return "/".join(side[0] for side in sides) if all(len(side) == 1 for side in sides) else ""


def _shadow(book: Book, both: Shadow) -> schema.ShadowDocument:
    reserves = book.reserves
    held = np.bincount(book.collateral.reserves(), np.nan_to_num(book.collateral.amounts), len(reserves)) * reserves.oracle_price
    owed = np.bincount(book.debt.reserves(), np.nan_to_num(book.debt.amounts), len(reserves)) * reserves.oracle_price
    size = np.nan_to_num(held + owed)
    wide = np.flatnonzero((np.abs(np.nan_to_num(both.oracle_gap, posinf=np.inf)) > SMALLEST_GAP) & (size > 0.0))
    order = wide[np.argsort(-np.abs(both.oracle_gap[wide]) * size[wide], kind="stable")][:SHOWN_GAPS]
    shadow_price = reserves.oracle_price / (1.0 + both.oracle_gap)
    gaps = tuple(
        schema.GapDocument(
            market=market_name(book, int(reserves.market[place])),
            asset=book.assets[int(reserves.asset[place])].symbol,
            oracle_usd=ratio(float(reserves.oracle_price[place])),
            shadow_usd=ratio(float(np.nan_to_num(shadow_price[place]))),
            gap=ratio(float(both.oracle_gap[place])),
            held_usd=usd(float(size[place])),
        )
        for place in order.tolist()
    )
    total = both.total_blind_bad_debt
    return schema.ShadowDocument(
        liquidatable_accounts=int(np.count_nonzero(both.oracle.liquidatable)),
        shadow_liquidatable_accounts=int(np.count_nonzero(both.shadow.liquidatable)),
        blind_accounts=int(np.count_nonzero(both.blind)),
        blind_bad_debt_usd=None if total is None else usd(total),
        oracle_gaps=gaps,
    )


def curve_document(source: Source, book: Book, study: CurveStudy) -> schema.CurveDocument:
    """The document of a population's curves. Its level is that of the worst bad debt over all falls, as a share of all debt."""
    total, health = study.total, book.health()
    debt = float(np.nansum(health.debt))
    fall, bad = total.worst
    cascade = None
    worst = bad
    if study.cascade is not None:
        own, where = study.cascade, study.cascade.worst
        worst = max(bad, where[1])
        cascade = schema.CascadeCurveDocument(
            falls=_ratios(own.falls),
            bad_debt_usd=_money(own.bad_debt),
            repaid_usd=_money(own.repaid),
            sold_usd=_money(own.sold),
            accounts=tuple(own.liquidated.tolist()),
            amplification=tuple(known(value) for value in own.amplification.tolist()),
            settled=bool(own.settled.all()),
            worst=schema.WorstDocument(fall=ratio(where[0]), bad_debt_usd=usd(where[1])),
            distance_to_spiral=None if study.spiral is None or study.spiral.distance is None else ratio(study.spiral.distance),
        )
    evidence = together_with(study)
    moved = np.flatnonzero(study.betas)
    return schema.CurveDocument(
        schema="crossmargin/contagion-curve/1",
        source=source.document(),
        collateral_usd=usd(float(collateral_held(book).sum())),
        debt_usd=usd(debt),
        basket=tuple(
            schema.MoveDocument(asset=str(book.assets[code].asset), symbol=book.assets[code].symbol, beta=ratio(float(study.betas[code])))
            for code in moved.tolist()
        ),
        by=study.by.value,
        falls=_ratios(total.moves),
        total=_group(total, 0),
        groups=tuple(_group(study.static, row) for row in range(len(study.static.groups))),
        worst=schema.WorstDocument(fall=ratio(fall), bad_debt_usd=usd(bad)),
        cascade=cascade,
        concentration={
            "debt by owner": _concentration(study.owners),
            "debt by protocol": _concentration(study.protocols),
            "collateral by asset": _concentration(study.collateral),
            "collateral by oracle": _concentration(study.oracle),
        },
        shadow=_shadow(book, study.shadow),
        level=evidence.level(worst / debt if debt > 0.0 else np.nan).value,
        lower_bounds=not evidence.sufficient,
        evidence=evidence_document(evidence),
    )


def together_with(study: CurveStudy) -> Evidence:
    """What all of a study's figures stand on."""
    parts = [study.evidence]
    parts += [study.cascade.evidence] if study.cascade is not None else []
    parts += [study.spiral.evidence] if study.spiral is not None else []
    return together(parts)


def network_curve_document(source: Source, network: ExposureNetwork, curve: NetworkCurve, gain: float) -> schema.NetworkCurveDocument:
    """The document of a network's curve. Its level is that of the mildest model's worst loss: what all models agree on at least."""
    worst = float(np.nan_to_num(curve.loss.max(axis=1)).min())
    return schema.NetworkCurveDocument(
        schema="crossmargin/contagion-network-curve/1",
        source=source.document(),
        nodes=len(network),
        claims_usd=usd(float(network.claims.sum())),
        falls=_ratios(curve.moves),
        models=tuple(
            schema.ModelCurveDocument(model=name, loss=tuple(known(value) for value in row.tolist()))
            for name, row in zip(curve.models, curve.loss, strict=True)
        ),
        gain=ratio(gain),
        level=curve.evidence.level(worst).value,
        lower_bounds=not curve.evidence.sufficient,
        evidence=evidence_document(curve.evidence),
    )


def simulation_document(
    source: Source, book: Book, shocks: Sequence[str], found: Simulation, evidence: Evidence
) -> schema.SimulationDocument:
    """The document of a scenario. Its level is that of the bad debt as a share of all debt."""
    cascade = found.cascade
    debt = float(np.nansum(book.health().debt))
    bad = cascade.total_bad_debt
    rounds = zip(
        cascade.liquidated.tolist(),
        cascade.repaid.tolist(),
        cascade.seized.tolist(),
        cascade.bad_debt.tolist(),
        cascade.sold.sum(axis=1).tolist(),
        strict=True,
    )
    lines = {line: cascade.ledger.total(line) / MICRO for line in Line}
    blind = float(found.blind_bad_debt[-1])
    return schema.SimulationDocument(
        schema="crossmargin/contagion-simulation/1",
        source=source.document(),
        shocks=tuple(shocks),
        settled=found.settled,
        direct_loss_usd=usd(cascade.direct_loss),
        final_loss_usd=usd(cascade.final_loss),
        amplification=known(cascade.amplification),
        liquidated_accounts=int(np.count_nonzero(cascade.first_round)),
        repaid_usd=usd(float(cascade.repaid.sum())),
        seized_usd=usd(float(cascade.seized.sum())),
        bad_debt_usd=usd(bad),
        waiting_debt_usd=usd(cascade.waiting_debt),
        blind_bad_debt_usd=None if np.isnan(blind) else usd(blind),
        rounds=tuple(
            schema.RoundDocument(
                liquidated=int(count), repaid_usd=usd(repaid), seized_usd=usd(seized), bad_debt_usd=usd(lost), sold_usd=usd(sold)
            )
            for count, repaid, seized, lost, sold in rounds
        ),
        prices=_prices(book, cascade.prices),
        parties=tuple(schema.LossDocument(who=party.value, usd=usd(amount / MICRO)) for party, amount in cascade.ledger.losses().items()),
        lines=tuple(schema.LossDocument(who=line.value, usd=usd(amount)) for line, amount in lines.items() if amount),
        borne=tuple(
            schema.LossDocument(who=who, usd=usd(amount / MICRO))
            for who, amount in sorted(found.borne.items(), key=lambda item: (-item[1], item[0]))
        ),
        accounts=_accounts(book, found),
        paths=tuple(_path(found, event) for event in ends(found)),
        level=evidence.level(bad / debt if debt > 0.0 else np.nan).value,
        lower_bounds=not evidence.sufficient,
        evidence=evidence_document(evidence),
    )


def _prices(book: Book, prices: Floats) -> tuple[schema.PriceDocument, ...]:
    with np.errstate(invalid="ignore"):
        moved = np.flatnonzero((prices[-1] != book.prices) & ~(np.isnan(prices[-1]) & np.isnan(book.prices)))
    return tuple(
        schema.PriceDocument(
            asset=str(book.assets[code].asset),
            symbol=book.assets[code].symbol,
            before_usd=known(float(book.prices[code])),
            shocked_usd=known(float(prices[0][code])),
            after_usd=known(float(prices[-1][code])),
        )
        for code in moved.tolist()
    )


def _accounts(book: Book, found: Simulation) -> tuple[schema.AccountLossDocument, ...]:
    cascade = found.cascade
    hit: NDArray[np.intp] = np.flatnonzero(cascade.first_round)
    order = hit[np.argsort(-(cascade.account_seized + cascade.account_bad_debt)[hit], kind="stable")][:SHOWN_ACCOUNTS]
    return tuple(
        schema.AccountLossDocument(
            owner=book.owner(row) or str(row),
            market=market_name(book, int(book.account_market[row])),
            first_round=int(cascade.first_round[row]),
            repaid_usd=usd(float(cascade.account_repaid[row])),
            seized_usd=usd(float(cascade.account_seized[row])),
            bad_debt_usd=usd(float(cascade.account_bad_debt[row])),
        )
        for row in order.tolist()
    )


def ends(found: Simulation) -> list[Cause]:
    """The events that nothing further came of, largest amounts first: where causal paths end."""
    causes = list(found.causes)
    led = {parent for event in causes for parent in event.parents}
    last = [event for event in causes if event.number not in led and event.kind is not CauseKind.SHOCK and event.amount > 0]
    return sorted(last, key=lambda event: (-event.amount, event.number))[:SHOWN_PATHS]


def step(event: Cause) -> str:
    """One event in words."""
    if not event.amount:
        return f"{event.kind.value} {event.subject}"
    return f"{event.kind.value} {event.subject}: {event.amount / MICRO:,.0f} USD"


def _path(found: Simulation, event: Cause) -> schema.PathDocument:
    path = found.causes.path(event.number)
    if len(path) > MAXIMUM_PATH:
        middle = [step(one) for one in path[: MAXIMUM_PATH // 2]], [step(one) for one in path[-MAXIMUM_PATH // 2 :]]
        steps = (*middle[0], f"… {len(path) - MAXIMUM_PATH} more …", *middle[1])
    else:
        steps = tuple(step(one) for one in path)
    return schema.PathDocument(subject=event.subject, usd=usd(event.amount / MICRO), steps=steps)


def network_simulation_document(
    source: Source, network: ExposureNetwork, shocks: Sequence[str], band: Band, found: Sequence[Equilibrium], gain: float
) -> schema.NetworkSimulationDocument:
    """The document of a shock to a network. Its level is that of the mildest model's loss: what all models agree on at least."""
    face = network.equity
    lost = []
    for one in found:
        with np.errstate(divide="ignore", invalid="ignore"):
            lost.append(np.where(face > 0.0, np.clip(face - one.equity, 0.0, np.maximum(face, 0.0)) / face, np.nan))
    nodes = tuple(
        schema.NodeLossDocument(
            name=name,
            kind=network.kinds[place].value,
            equity_usd=None if np.isnan(face[place]) else usd(float(face[place])),
            loss={model: known(float(row[place])) for model, row in zip(band.models, lost, strict=True)},
        )
        for place, name in enumerate(network.names)
    )
    return schema.NetworkSimulationDocument(
        schema="crossmargin/contagion-network-simulation/1",
        source=source.document(),
        shocks=tuple(shocks),
        equity_usd=usd(float(np.nansum(np.maximum(face, 0.0)))),
        loss_low=known(band.low),
        loss_high=known(band.high),
        models=tuple(
            schema.ModelLossDocument(
                model=model, loss=known(loss), defaults=tuple(network.names[place] for place in np.flatnonzero(one.defaults).tolist())
            )
            for model, loss, one in zip(band.models, band.loss.tolist(), found, strict=True)
        ),
        nodes=nodes,
        gain=ratio(gain),
        level=band.evidence.level(band.low).value,
        lower_bounds=not band.evidence.sufficient,
        evidence=evidence_document(band.evidence),
    )


def rank_document(source: Source, ranking: Ranking, gain: float, evidence: Evidence) -> schema.RankDocument:
    """The document of a ranking. Its level is that of the first node's impact under the mildest model for it."""
    first = int(ranking.order[0])

    def band(values: Floats) -> schema.BandDocument:
        low, middle, high = (float(of(values)) for of in (np.min, np.median, np.max))
        by_model = {model: known(float(value)) for model, value in zip(ranking.models, values.tolist(), strict=True)}
        return schema.BandDocument(low=known(low), middle=known(middle), high=known(high), by_model=by_model)

    return schema.RankDocument(
        schema="crossmargin/contagion-rank/1",
        source=source.document(),
        nodes=tuple(
            schema.RankedDocument(
                rank=number,
                name=ranking.names[place],
                kind=ranking.kinds[place].value,
                impact=band(ranking.impact[:, place]),
                rank_low=int(ranking.rank_low[place]),
                rank_high=int(ranking.rank_high[place]),
                vulnerability=band(ranking.vulnerability[:, place]),
            )
            for number, place in enumerate(ranking.order.tolist(), start=1)
        ),
        models=ranking.models,
        stability=ratio(ranking.stability),
        top_10_overlap=ratio(ranking.top_overlap()),
        gain=ratio(gain),
        level=(evidence.level(float(np.min(ranking.impact[:, first]))) if evidence.sufficient else Level.UNKNOWN).value,
        lower_bounds=not evidence.sufficient,
        evidence=evidence_document(evidence),
    )
