"""What `contagion curve`, `simulate` and `rank` print for people. Names from elsewhere are cleaned; nothing is wider than the console."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from aggregator.cli.wording import money, move, share, short_owner
from aggregator.engine.systemic.schema import (
    CurveDocument,
    EvidenceDocument,
    GroupDocument,
    MoveDocument,
    NetworkCurveDocument,
    NetworkSimulationDocument,
    RankDocument,
    SimulationDocument,
    SourceDocument,
)
from aggregator.reading.text import clean_text

SHOWN_FALLS = 11
SHOWN_GROUPS, SHOWN_PARTIES, SHOWN_ACCOUNTS, SHOWN_PATHS, SHOWN_ROUNDS, SHOWN_NODES = 12, 10, 8, 3, 12, 15
MODEL_HEADS = {
    "eisenberg-noe": "EN",
    "rogers-veraart": "RV",
    "furfine": "Furfine",
    "non-linear-debtrank": "DebtRank α=2",
    "linear-debtrank": "DebtRank",
}
"""heads of columns: names of models, short"""
_HEX = re.compile(r"0x[0-9a-fA-F]{16,}")
LEVEL_STYLES = {"low": "green", "elevated": "yellow", "high": "bold red", "unknown": "bold magenta"}


def print_curve(document: CurveDocument, console: Console) -> None:
    """Curves of a population."""
    names = ", ".join(f"{one.symbol}{'' if one.beta == '1' else f' × {one.beta}'}" for one in _distinct(document))
    _head(console, f"When {names} falls", document.source, document.level)
    console.print(f"collateral {money(document.collateral_usd)} at the lower of oracle and market price, debt {money(document.debt_usd)}")
    table = _table(console, "fall", "liquidatable debt", "collateral at risk", "bad debt", "accounts")
    cascade = {}
    if document.cascade is not None:
        table.add_column("bad debt with sales", justify="right", no_wrap=True)
        cascade = dict(zip(document.cascade.falls, document.cascade.bad_debt_usd, strict=True))
    for place in _spread(len(document.falls)):
        row = _row(document.total, place, document.falls[place])
        table.add_row(*row, *([money(cascade.get(document.falls[place]))] if document.cascade is not None else []))
    console.print(table)
    console.print(f"worst: {money(document.worst.bad_debt_usd)} of bad debt at a fall of {share(document.worst.fall)}")
    if document.cascade is not None:
        worst, spiral = document.cascade.worst, document.cascade.distance_to_spiral
        console.print(f"worst with sales: {money(worst.bad_debt_usd)} at a fall of {share(worst.fall)}")
        console.print(
            f"sales feed themselves from a fall of {share(spiral)}" if spiral is not None else "sales feed themselves at no fall searched"
        )
    if document.by != "all":
        _groups(document, console)
    _concentration(document, console)
    _shadow(document, console)
    _missing(document.evidence, document.source, console)


def _distinct(document: CurveDocument) -> Sequence[MoveDocument]:
    return list({(one.symbol, one.beta): one for one in document.basket}.values())


def _row(group: GroupDocument, place: int, first: str) -> list[str]:
    return [
        f"−{share(first)}" if first != "0" else "now",
        money(group.liquidatable_debt_usd[place]),
        money(group.collateral_at_risk_usd[place]),
        money(group.bad_debt_usd[place]),
        f"{group.accounts[place]:,}",
    ]


def _groups(document: CurveDocument, console: Console) -> None:
    """The largest groups where the most of them can be liquidated."""
    place = min(range(len(document.falls)), key=lambda at: abs(float(document.falls[at]) - 0.3))
    console.print(Text(f"By {document.by}, at a fall of {share(document.falls[place])}", "bold"))
    table = _table(console, document.by, "liquidatable debt", "collateral at risk", "bad debt", "accounts")
    order = sorted(document.groups, key=lambda one: -float(one.liquidatable_debt_usd[place]))
    for group in order[:SHOWN_GROUPS]:
        table.add_row(Text(clean_text(group.name, 60)), *_row(group, place, "0")[1:])
    console.print(table)
    if len(order) > SHOWN_GROUPS:
        console.print(f"  and {len(order) - SHOWN_GROUPS:,} more")


def _concentration(document: CurveDocument, console: Console) -> None:
    for name, one in document.concentration.items():
        if one.herfindahl is not None and one.top_10 is not None and one.largest is not None:
            largest = f"largest {share(one.largest)}, top 10 {share(one.top_10)}"
            console.print(f"{name}: {one.holders:,} in all, {largest}, Herfindahl {float(one.herfindahl):.3f}")


def _shadow(document: CurveDocument, console: Console) -> None:
    one = document.shadow
    console.print(
        f"at oracle prices {one.liquidatable_accounts:,} accounts are liquidatable, at market prices {one.shadow_liquidatable_accounts:,}; "
        f"blind bad debt {money(one.blind_bad_debt_usd)} in {one.blind_accounts:,}"
    )
    for gap in one.oracle_gaps[:3]:
        console.print(
            Text(
                f"  oracle of {clean_text(gap.asset, 16)} in {clean_text(gap.market, 40)} is {_gap(gap.gap)} off, on {money(gap.held_usd)}"
            )
        )


def _gap(text: str) -> str:
    return move(text) if abs(float(text)) < 100 else f"{float(text):.2g} times"


def print_network_curve(document: NetworkCurveDocument, console: Console) -> None:
    """Losses of a network along a fall of everybody's external assets."""
    _head(console, "When every node's external assets fall", document.source, document.level)
    console.print(f"{document.nodes:,} nodes, claims {money(document.claims_usd)}; losses are shares of all equity")
    table = _table(console, "fall", *(MODEL_HEADS.get(one.model, one.model) for one in document.models))
    for place in _spread(len(document.falls)):
        table.add_row(*[_fall(document.falls[place]), *(_share(one.loss[place]) for one in document.models)])
    console.print(table)
    _unstable(document.gain, console)
    _missing(document.evidence, document.source, console)


def print_simulation(document: SimulationDocument, console: Console) -> None:
    """One scenario over a population."""
    _head(console, f"After {', '.join(clean_text(text, 60) for text in document.shocks)}", document.source, document.level)
    amplified = "" if document.amplification is None else f", {float(document.amplification):.2f} times the direct loss"
    console.print(f"loss in price: direct {money(document.direct_loss_usd)}, in the end {money(document.final_loss_usd)}{amplified}")
    console.print(
        f"{document.liquidated_accounts:,} accounts liquidated, rounds: {len(document.rounds):,}; repaid {money(document.repaid_usd)}, "
        f"seized {money(document.seized_usd)}, bad debt {money(document.bad_debt_usd)}, still waiting {money(document.waiting_debt_usd)}"
    )
    if not document.settled:
        console.print(Text("the rounds ran out before it ended", "bold red"))
    _rounds(document, console)
    _pairs(console, "Who loses, in the end", [(one.who, one.usd) for one in document.parties if float(one.usd)])
    _pairs(console, "Who bears the bad debt", [(one.who, one.usd) for one in document.borne])
    if document.accounts:
        console.print(Text("Accounts that lose most", "bold"))
        table = _table(console, "owner", "market", "round", "seized", "repaid", "bad debt")
        for one in document.accounts[:SHOWN_ACCOUNTS]:
            figures = (money(one.seized_usd), money(one.repaid_usd), money(one.bad_debt_usd))
            table.add_row(Text(short_owner(one.owner)), Text(clean_text(one.market, 44)), str(one.first_round), *figures)
        console.print(table)
    if document.paths:
        console.print(Text("Why", "bold"))
        for path in document.paths[:SHOWN_PATHS]:
            console.print(Text("  " + " → ".join(_named(one, 120) for one in path.steps)))
    _missing(document.evidence, document.source, console)


def _rounds(document: SimulationDocument, console: Console) -> None:
    if not document.rounds:
        return
    table = _table(console, "round", "liquidated", "repaid", "seized", "bad debt", "sold")
    for number, one in enumerate(document.rounds[:SHOWN_ROUNDS], start=1):
        figures = (one.repaid_usd, one.seized_usd, one.bad_debt_usd, one.sold_usd)
        table.add_row(str(number), f"{one.liquidated:,}", *(money(value) for value in figures))
    console.print(table)
    if len(document.rounds) > SHOWN_ROUNDS:
        console.print(f"  and {len(document.rounds) - SHOWN_ROUNDS:,} more rounds")


def print_network_simulation(document: NetworkSimulationDocument, console: Console) -> None:
    """One shock to a network."""
    _head(console, f"After {', '.join(clean_text(text, 60) for text in document.shocks)}", document.source, document.level)
    band = f"{_share(document.loss_low)} to {_share(document.loss_high)}"
    console.print(f"equity {money(document.equity_usd)}; of it lost: {band}, depending on the model")
    table = _table(console, "model", "loss", "defaults", "who")
    for one in document.models:
        names = ", ".join(clean_text(name, 24) for name in one.defaults[:3]) + (" …" if len(one.defaults) > 3 else "")
        table.add_row(one.model, _share(one.loss), f"{len(one.defaults):,}", Text(names))
    console.print(table)
    models = [one.model for one in document.models]
    hit = [one for one in document.nodes if any(float(value or 0.0) > 0.0 for value in one.loss.values())]
    if hit:
        console.print(Text("Who loses, as a share of its equity", "bold"))
        nodes = _table(console, "node", "equity", *(MODEL_HEADS.get(model, model) for model in models))
        for node in sorted(hit, key=lambda one: -max(float(value or 0.0) for value in one.loss.values()))[:SHOWN_NODES]:
            nodes.add_row(Text(clean_text(node.name, 32)), money(node.equity_usd), *(_share(node.loss[model]) for model in models))
        console.print(nodes)
    _unstable(document.gain, console)
    _missing(document.evidence, document.source, console)


def print_rank(document: RankDocument, console: Console, top: int) -> None:
    """The most important nodes."""
    _head(console, "What the others lose if it fails", document.source, document.level)
    table = _table(console, "rank", "node", "kind", "impact", "over models", "ranks", "vulnerability")
    for one in document.nodes[:top]:
        spread = f"{_share(one.impact.low)} … {_share(one.impact.high)}"
        ranks = str(one.rank_low) if one.rank_low == one.rank_high else f"{one.rank_low}–{one.rank_high}"
        table.add_row(
            str(one.rank),
            Text(clean_text(one.name, 40)),
            one.kind,
            _share(one.impact.middle),
            spread,
            ranks,
            _share(one.vulnerability.middle),
        )
    console.print(table)
    if len(document.nodes) > top:
        console.print(f"  and {len(document.nodes) - top:,} more")
    overlap = share(document.top_10_overlap)
    console.print(f"rank correlation between models {float(document.stability):.2f}; two models share {overlap} of their ten first")
    _unstable(document.gain, console)
    _missing(document.evidence, document.source, console)


def _head(console: Console, title: str, source: SourceDocument, level: str) -> None:
    accounts = "" if source.accounts is None else f", {source.accounts:,} accounts"
    console.print(Text(title, "bold"))
    console.print(Text(f"{clean_text(source.name, 80)}{accounts}: ").append(level, LEVEL_STYLES[level]))
    for one in source.snapshots:
        console.print(f"  {one.chain} at block {one.block} ({one.timestamp or one.detail})", soft_wrap=True)


def _table(console: Console, *names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
    left = {"node", "kind", "owner", "market", "model", "who", "protocol", "chain", "asset", "fall"}
    for name in names:
        text = name in left
        table.add_column(name, justify="left" if text else "right", no_wrap=not text, overflow="fold" if text else "ellipsis")
    return table


def _pairs(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    console.print(Text(title, "bold"))
    order = sorted(rows, key=lambda row: -float(row[1]))
    for who, usd in order[:SHOWN_PARTIES]:
        console.print(Text(f"  {_named(who, 90)}: {money(usd)}"))
    if len(order) > SHOWN_PARTIES:
        console.print(f"  and {len(order) - SHOWN_PARTIES:,} more")


def _unstable(gain: str, console: Console) -> None:
    if float(gain) >= 1.0:
        console.print(
            Text(
                f"unstable: spectral radius of claims over equity {float(gain):.3g}; in the linear model losses grow until all is lost",
                "yellow",
            )
        )


def _missing(evidence: EvidenceDocument, source: SourceDocument, console: Console) -> None:
    missing = list(dict.fromkeys((*evidence.missing, *source.gaps)))
    if not evidence.sufficient:
        known = "nothing" if evidence.known_share is None else share(evidence.known_share)
        console.print(Text(f"Only {known} of the picture is known: figures are lower bounds, and nothing here is calm", "bold magenta"))
    if missing:
        console.print(Text("Missing", "bold"))
        for line in missing[:SHOWN_PARTIES]:
            console.print(Text(f"  {clean_text(line, 200)}"))
        if len(missing) > SHOWN_PARTIES:
            console.print(f"  and {len(missing) - SHOWN_PARTIES:,} more")


def _named(text: str, limit: int) -> str:
    """A name from elsewhere, long hex shortened."""
    return clean_text(_HEX.sub(lambda found: f"{found[0][:6]}…{found[0][-4:]}", text), limit)


def _fall(text: str) -> str:
    return "now" if text == "0" else f"−{share(text)}"


def _share(text: str | None) -> str:
    return "unknown" if text is None else share(text)


def _spread(count: int) -> list[int]:
    """At most SHOWN_FALLS places, evenly, first and last included."""
    if count <= SHOWN_FALLS:
        return list(range(count))
    return sorted({round(number * (count - 1) / (SHOWN_FALLS - 1)) for number in range(SHOWN_FALLS)})
