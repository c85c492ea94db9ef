"""Plots of `contagion curve`, `simulate` and `rank` as files. Every axis says what it shows in which unit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aggregator.cli.plot_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RED,
    legend_below,
    money_axis,
    money_tick,
    one_figure,
    plain,
    shock_text,
    short,
    titled,
    written,
)
from aggregator.engine.systemic.analysis import collateral_held
from aggregator.engine.systemic.document import market_name
from aggregator.model.book import Book, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aggregator.contagion.network import ExposureNetwork
    from aggregator.contagion.simulation import Simulation
    from aggregator.engine.systemic.analysis import CurveStudy, NetworkCurve
    from aggregator.engine.systemic.schema import (
        CurveDocument,
        NetworkCurveDocument,
        NetworkSimulationDocument,
        RankDocument,
        SimulationDocument,
    )

SKY, PINK = "#56B4E9", "#CC79A7"
MODEL_COLOURS = (GREEN, SKY, BLUE, ORANGE, RED)
GROUP_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, "#F0E442", GREY)
MATRIX_ROWS, MATRIX_COLUMNS, RANKED = 20, 16, 20
LOWER_BOUND = "  (lower bounds: too little is known)"


def curve_plots(book: Book, study: CurveStudy, document: CurveDocument, folder: Path, form: str) -> list[Path]:
    """The curves, by group where asked for, and who holds what."""
    made = {"curve": curves(study, document)}
    if len(document.groups) > 1:
        made["curve-by-group"] = by_group(study, document)
    made["exposure-matrix"] = holdings_matrix(book)
    return written(made, folder, form)


def curves(study: CurveStudy, document: CurveDocument) -> Figure:
    """Three figures against the fall, with and without what sales do."""
    from matplotlib.figure import Figure as Made

    figure = Made(figsize=(9, 8.2), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True)
    names = ", ".join(dict.fromkeys(one.symbol for one in document.basket))
    falls = 100 * study.total.moves
    panels = (
        (top, study.total.liquidatable_debt[0], BLUE, "liquidatable debt"),
        (middle, study.total.collateral_at_risk[0], ORANGE, "collateral at risk"),
        (bottom, study.total.bad_debt[0], RED, "bad debt"),
    )
    for axes, values, colour, name in panels:
        _bare(axes)
        axes.plot(falls, values, color=colour, linewidth=2.2, label=f"{name}, static")
        axes.set_ylabel(f"{name}, USD", fontsize=9)
        money_axis(axes, vertical=True)
    if study.cascade is not None:
        bottom.plot(
            100 * study.cascade.falls, study.cascade.bad_debt, color=INK, linewidth=1.6, linestyle="--", label="bad debt, with sales"
        )
        top.plot(100 * study.cascade.falls, study.cascade.repaid, color=INK, linewidth=1.6, linestyle="--", label="repaid, with sales")
        _mark(bottom, *study.cascade.worst)
    else:
        _mark(bottom, *study.total.worst)
    if study.spiral is not None and study.spiral.distance is not None:
        for axes in (top, middle, bottom):
            axes.axvline(100 * study.spiral.distance, color=GREY, linewidth=1.2, linestyle=":")
        top.annotate(
            f"sales feed themselves\nfrom −{100 * study.spiral.distance:.1f} %",
            (100 * study.spiral.distance, 0.5),
            xycoords=("data", "axes fraction"),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            zorder=0,
            fontsize=8,
            color=GREY,
        )
    bottom.set_xlabel("fall of the basket, %", fontsize=9)
    bottom.set_xlim(0, falls[-1])
    titled(top, "What a fall does", plain(f"{names} fall together") + (LOWER_BOUND if document.lower_bounds else ""))
    for axes in (top, middle, bottom):
        axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    for axes in (top, bottom):
        axes.legend(frameon=False, fontsize=8, loc="upper left" if axes is bottom else "lower right")
    return figure


def _mark(axes: Axes, fall: float, bad: float) -> None:
    """The worst point, which need not be the last."""
    axes.plot([100 * fall], [bad], "o", color=INK, markersize=6, zorder=5)
    left = 100 * fall > 30.0
    axes.annotate(
        f"worst: {money_tick(float(f'{bad:.3g}'))} USD at −{100 * fall:.1f} %",
        (100 * fall, bad),
        xytext=(-8 if left else 8, -4),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top",
        fontsize=9,
        color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1},
    )


def by_group(study: CurveStudy, document: CurveDocument) -> Figure:
    """Liquidatable debt of the largest groups, one on the other."""
    figure, axes = one_figure(9, 5)
    curve = study.static
    order = np.argsort(-curve.liquidatable_debt.max(axis=1), kind="stable")
    shown, rest = order[: len(GROUP_COLOURS) - 1], order[len(GROUP_COLOURS) - 1 :]
    layers = [curve.liquidatable_debt[row] for row in shown.tolist()]
    labels = [short(curve.groups[row]) for row in shown.tolist()]
    if len(rest):
        layers.append(curve.liquidatable_debt[rest].sum(axis=0))
        labels.append(f"{len(rest)} others")
    colours = [*GROUP_COLOURS[: len(shown)], GREY][: len(layers)]
    axes.stackplot(100 * curve.moves, layers, labels=labels, colors=colours, alpha=0.85, linewidth=0)
    axes.set_xlim(0, 100 * float(curve.moves[-1]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("fall of the basket, %", fontsize=9)
    axes.set_ylabel("liquidatable debt, USD", fontsize=9)
    money_axis(axes, vertical=True)
    names = ", ".join(dict.fromkeys(one.symbol for one in document.basket))
    titled(axes, f"Liquidatable debt by {document.by}", plain(f"{names} fall together") + (LOWER_BOUND if document.lower_bounds else ""))
    legend_below(figure, axes, 3)
    return figure


def holdings_matrix(book: Book) -> Figure:
    """Markets by collateral: where what is held."""
    reserves, held = book.reserves, collateral_held(book)
    symbols = [asset.symbol for asset in book.assets]
    names = list(dict.fromkeys(symbols))
    code = np.array([names.index(symbol) for symbol in symbols])
    matrix = np.zeros((len(book.markets), len(names)))
    np.add.at(matrix, (reserves.market, code[reserves.asset]), held)
    rows = [market_name(book, place) for place in range(len(book.markets))]
    return _matrix(matrix, rows, names, "Exposure matrix", "collateral by market and asset, at the lower of oracle and market price")


def claims_matrix(network: ExposureNetwork) -> Figure:
    """Creditors by debtors, the largest of each."""
    given = network.exposures
    creditors = np.argsort(-np.asarray(given.sum(axis=1)).ravel(), kind="stable")[:MATRIX_ROWS]
    debtors = np.argsort(-np.asarray(given.sum(axis=0)).ravel(), kind="stable")[:MATRIX_COLUMNS]
    names = network.names
    dense = given[creditors][:, debtors].toarray()
    rows, columns = [names[place] for place in creditors.tolist()], [names[place] for place in debtors.tolist()]
    return _matrix(dense, rows, columns, "Exposure matrix", "claims of creditors (rows) on debtors (columns)")


def _matrix(values: Floats, rows: list[str], columns: list[str], title: str, below: str) -> Figure:
    """A heat map over the largest rows and columns, empty where there is nothing."""
    from matplotlib.colors import LogNorm

    order = np.argsort(-values.sum(axis=1), kind="stable")[:MATRIX_ROWS]
    order = order[values[order].sum(axis=1) > 0.0]
    across = np.argsort(-values.sum(axis=0), kind="stable")[:MATRIX_COLUMNS]
    across = across[values[:, across].sum(axis=0) > 0.0]
    shown = np.ma.masked_less_equal(values[np.ix_(order, across)], 0.0)
    figure, axes = one_figure(max(7.0, 4.2 + 0.52 * len(across)), max(3.6, 2.2 + 0.3 * len(order)))
    axes.grid(False)
    if shown.count() == 0:
        axes.text(0.5, 0.5, "nothing is held", ha="center", va="center", transform=axes.transAxes)
        return figure
    high = float(shown.max())
    low = max(float(shown.min()), high * 1e-6)
    image = axes.imshow(shown, cmap="Blues", norm=LogNorm(min(low, high * 0.999), high), aspect="auto")
    for row, column in zip(*np.nonzero(~np.ma.getmaskarray(shown)), strict=True):
        value = float(shown[row, column])
        dark = np.log(value / low) > 0.55 * np.log(high / low)
        text = money_tick(float(f"{value:.2g}"))
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color="white" if dark else INK)
    axes.set_xticks(range(len(across)), [short(columns[place]) for place in across.tolist()], rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(order)), [short(rows[place]) for place in order.tolist()], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label("USD", fontsize=9)
    left = len(rows) - len(order)
    titled(axes, title, below + (f"; {left} smaller rows left out" if left > 0 else ""))
    return figure


def simulation_plots(book: Book, found: Simulation, document: SimulationDocument, folder: Path, form: str) -> list[Path]:
    """The waterfall of losses, the causal graph, and the rounds as a strip over time."""
    from aggregator.cli.contagion_graph import causal_graph

    made = {"waterfall": waterfall(document), "rounds": rounds(book, found, document)}
    if len(found.causes) > 1:
        made["causal-graph"] = causal_graph(found, document)
    return written(made, folder, form)


def waterfall(document: SimulationDocument) -> Figure:
    """From what the shock took to all that was lost, and from there to who lost it."""
    lines = {one.who: float(one.usd) for one in document.lines}
    steps = [
        ("shock", lines.get("shock", 0.0)),
        ("backing", lines.get("backing", 0.0)),
        ("sales push\nprices", lines.get("sales", 0.0)),
        ("slippage of\nsellers", lines.get("slippage", 0.0)),
    ]
    steps = [(name, value) for name, value in steps if value or name == "shock"]
    parties = [(one.who, float(one.usd)) for one in document.parties if one.who not in ("outside", "buyers") and float(one.usd)]
    parties.sort(key=lambda item: -item[1])
    figure, axes = one_figure(max(8.0, 1.15 * (len(steps) + len(parties) + 1)), 5.2)
    place, level = 0, 0.0
    for name, value in steps:
        _bar(axes, place, level, value, ORANGE if place else RED, name)
        level += value
        place += 1
    _bar(axes, place, 0.0, level, INK, "lost\nin price")
    place += 1
    for name, value in parties:
        _bar(axes, place, level - value, value, BLUE if value > 0 else GREEN, f"{name}\n{'lose' if value > 0 else 'gain'}")
        level -= value
        place += 1
    axes.axvline(len(steps) + 0.5, color=GREY, linewidth=1, linestyle=":")
    labels = [name for name, _ in steps] + ["lost\nin price"] + [f"{name}\n{'lose' if value > 0 else 'gain'}" for name, value in parties]
    axes.set_xticks(range(len(labels)), labels, fontsize=9)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.margins(y=0.12)
    axes.set_ylabel("USD", fontsize=9)
    money_axis(axes, vertical=True)
    bad = f"bad debt {money_tick(float(f'{float(document.bad_debt_usd):.3g}'))} USD; rounds: {len(document.rounds)}"
    titled(axes, "Where the loss comes from, and who bears it", f"{shock_text(document.shocks)}; {bad}")
    return figure


def _bar(axes: Axes, place: int, bottom: float, value: float, colour: str, _: str) -> None:
    axes.bar([place], [value], bottom=[bottom], color=colour, width=0.7)
    top = max(bottom, bottom + value)
    axes.annotate(
        money_tick(float(f"{value:.3g}")), (place, top), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=9, color=INK
    )


def rounds(book: Book, found: Simulation, document: SimulationDocument) -> Figure:
    """Prices, liquidations and bad debt, round by round."""
    from matplotlib.figure import Figure as Made
    from matplotlib.ticker import MaxNLocator

    cascade = found.cascade
    figure = Made(figsize=(9, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1.4, 1.4))
    moves = cascade.prices / book.prices
    with np.errstate(invalid="ignore"):
        deepest = np.nanmin(np.where(np.isnan(moves), 1.0, moves), axis=0)
    moved = np.flatnonzero(deepest < 1.0 - 1e-9)
    worth = np.bincount(book.reserves.asset, collateral_held(book), len(book.assets))
    moved = moved[np.argsort(-worth[moved], kind="stable")][: len(GROUP_COLOURS)]
    moments = np.arange(-1, len(moves))
    for colour, code in zip(GROUP_COLOURS, moved.tolist(), strict=False):
        one = book.assets[code]
        path = 100 * (np.concatenate([[1.0], moves[:, code]]) - 1.0)
        same = [other for other in moved.tolist() if book.assets[other].symbol == one.symbol]
        label = one.symbol if len(same) == 1 else f"{one.symbol} on {str(one.asset).split('/')[0]}"
        top.plot(moments, path, color=colour, linewidth=1.8, marker="o", markersize=3, label=short(label))
    top.set_ylabel("market price, change in %", fontsize=9)
    numbers = np.arange(1, cascade.rounds + 1)
    middle.bar(numbers - 0.2, cascade.seized, width=0.38, color=ORANGE, label="seized")
    middle.bar(numbers + 0.2, cascade.repaid, width=0.38, color=BLUE, label="repaid")
    middle.set_ylabel("USD a round", fontsize=9)
    bottom.step(moments, np.concatenate([[0.0, 0.0], np.cumsum(cascade.bad_debt)]), where="post", color=RED, linewidth=2)
    bottom.set_ylabel("bad debt so far, USD", fontsize=9)
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("round (−1: before, 0: after the shock)", fontsize=9)
    for axes in (top, middle, bottom):
        _bare(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (middle, bottom):
        money_axis(axes, vertical=True)
    if len(moved):
        top.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    if cascade.rounds:
        middle.legend(frameon=False, fontsize=8, loc="upper right")
    titled(top, "Round by round", shock_text(document.shocks) + (LOWER_BOUND if document.lower_bounds else ""))
    return figure


def network_curve_plots(
    network: ExposureNetwork, found: NetworkCurve, document: NetworkCurveDocument, folder: Path, form: str
) -> list[Path]:
    """The band over models, and who claims what of whom."""
    figure, axes = one_figure(9, 5)
    falls = 100 * found.moves
    axes.fill_between(falls, 100 * found.loss.min(axis=0), 100 * found.loss.max(axis=0), color=GREY, alpha=0.18, label="band over models")
    for number, (colour, model, loss) in enumerate(zip(MODEL_COLOURS, found.models, found.loss, strict=False)):
        # later ones thinner and broken, so that those beneath them show where models agree
        axes.plot(falls, 100 * loss, color=colour, linewidth=3.2 - 0.5 * number, linestyle=("-", "-", "--", "-.", ":")[number], label=model)
    axes.set_xlabel("fall of every node's external assets, %", fontsize=9)
    axes.set_ylabel("equity lost, % of all", fontsize=9)
    axes.set_xlim(0, falls[-1])
    axes.set_ylim(0, 102)
    below = f"{document.nodes:,} nodes; the model matters" + (LOWER_BOUND if document.lower_bounds else "")
    titled(axes, "Losses under every model", below)
    legend_below(figure, axes, 3)
    return written({"curve": figure, "exposure-matrix": claims_matrix(network)}, folder, form)


def network_simulation_plots(network: ExposureNetwork, document: NetworkSimulationDocument, folder: Path, form: str) -> list[Path]:
    """What each node loses under each model, and who claims what of whom."""
    models = [one.model for one in document.models]
    values = np.array([[float(node.loss[model] or 0.0) for model in models] for node in document.nodes])
    order = np.argsort(-values.max(axis=1), kind="stable")[:MATRIX_ROWS]
    figure, axes = one_figure(7.5, max(3.2, 2.2 + 0.28 * len(order)))
    axes.grid(False)
    image = axes.imshow(100 * values[order], cmap="Reds", vmin=0, vmax=100, aspect="auto")
    for row, place in enumerate(order.tolist()):
        for column, value in enumerate(values[place].tolist()):
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color="white" if value > 0.6 else INK)
    axes.set_xticks(range(len(models)), models, fontsize=8)
    axes.set_yticks(range(len(order)), [short(document.nodes[place].name) for place in order.tolist()], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02).set_label("equity lost, %", fontsize=9)
    titled(axes, "Who loses, under which model", shock_text(document.shocks) + (LOWER_BOUND if document.lower_bounds else ""))
    return written({"losses": figure, "exposure-matrix": claims_matrix(network)}, folder, form)


def rank_plots(network: ExposureNetwork, document: RankDocument, folder: Path, form: str) -> list[Path]:
    """The ranking as bands, and who claims what of whom."""
    return written({"ranking": ranking(document), "exposure-matrix": claims_matrix(network)}, folder, form)


def ranking(document: RankDocument) -> Figure:
    """Impact of the first nodes, from the mildest to the most severe model."""
    colours = {"protocol": BLUE, "token": ORANGE, "oracle": RED, "bridge": PINK, "curator": GREEN, "vault": SKY, "market": "#7A7A00"}
    shown = [one for one in document.nodes[:RANKED] if float(one.impact.high or 0.0) > 0.0] or list(document.nodes[:1])
    figure, axes = one_figure(9, max(3.2, 1.9 + 0.32 * len(shown)))
    seen: set[str] = set()
    for place, one in enumerate(shown):
        low, middle, high = (100 * float(value or 0.0) for value in (one.impact.low, one.impact.middle, one.impact.high))
        colour = colours.get(one.kind, GREY)
        axes.plot([low, high], [place, place], color=colour, linewidth=6, alpha=0.45, solid_capstyle="butt")
        axes.plot([middle], [place], "o", color=colour, markersize=7, label=one.kind if one.kind not in seen else None)
        seen.add(one.kind)
        ranks = f"{one.rank_low}" if one.rank_low == one.rank_high else f"{one.rank_low}–{one.rank_high}"
        axes.annotate(f"rank {ranks}", (high, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8, color=GREY)
    axes.set_yticks(range(len(shown)), [short(one.name) for one in shown], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.margins(x=0.12)
    axes.set_xlabel("equity of the others that is lost if it fails, %", fontsize=9)
    below = f"bars: band over {len(document.models)} models, dots: their middle; rank correlation {float(document.stability):.2f}"
    titled(axes, "Systemic importance", below + (LOWER_BOUND if document.lower_bounds else ""))
    legend_below(figure, axes, 4)
    return figure


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
