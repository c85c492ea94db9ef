"""A replay as one picture over time: what was lent and borrowed, what the price did, and when the alerts came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.plot_style import GREY, INK, ORANGE, RED, plain, short, titled, written
from aggregator.contagion.indicators import utilisation
from aggregator.publish.alerts.instant import SECOND, Instant, parse_instant
from aggregator.publish.alerts.observations import MarketObserved, Observed, PriceObserved
from aggregator.publish.alerts.picture import is_oracle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from aggregator.publish.alerts.alert import Alert
    from aggregator.publish.alerts.quality import QualityReport

MARKETS = 8
"""strips that are shown: the largest markets"""
TOKENS = 5
COLOURS = {"critical": RED, "warning": ORANGE, "info": GREY}
LINES = ("#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7A6A00")


def replay_plot(history: Sequence[Observed], alerts: Sequence[Alert], report: QualityReport, path: Path) -> Path:
    """Write the strip(a .png or .svg); the path. InputError where it cannot be written."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    markets = _largest(history)
    figure = Figure(figsize=(11, 5.2 + 0.45 * max(0, len(markets) - 1)), layout="constrained")
    strips, supply, price = figure.subplots(3, 1, sharex=True, height_ratios=(max(1.0, 0.5 * len(markets)), 2, 2))
    _strips(strips, markets)
    _supply(supply, markets)
    _prices(price, history, {rows[-1].collateral: colour for rows, colour in zip(markets.values(), LINES, strict=False)})
    told = [alert for alert in alerts if alert.state != "resolved"]
    for axes in (strips, supply, price):
        axes.spines[["top", "right"]].set_visible(False)
        for alert in told:
            axes.axvline(_date(parse_instant(alert.t)), color=COLOURS[alert.severity], linewidth=1.4, alpha=0.8)
        for one in report.breaks:
            axes.axvline(_date(one.t), color=INK, linewidth=1.4, linestyle=":")
    _flags(price, told, report)
    warned = next((record for record in report.records if record.leads), None)
    leads = [
        f"{token}: {lead:.0f} h before its price broke" for token, lead in (warned.leads if warned else {}).items() if lead is not None
    ]
    titled(strips, "Alerts over a recorded history", plain("first warning " + ", ".join(leads) if leads else f"{len(told)} messages"))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    price.xaxis.set_major_locator(locator)
    price.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    price.set_xlabel("UTC", fontsize=9)
    return written({path.stem: figure}, path.parent, path.suffix[1:])[0]


def _date(moment: Instant) -> float:
    from matplotlib.dates import date2num

    return float(date2num(datetime.fromtimestamp(moment / SECOND, UTC)))  # type: ignore[no-untyped-call]


def _largest(history: Sequence[Observed]) -> dict[str, list[MarketObserved]]:
    by_market: dict[tuple[str, str, str], list[MarketObserved]] = {}
    for one in history:
        if isinstance(one, MarketObserved):
            by_market.setdefault((one.protocol, one.chain, one.market), []).append(one)
    size = {key: max(one.supply_usd or 0.0 for one in rows) for key, rows in by_market.items()}
    chosen = sorted(by_market, key=lambda key: (-size[key], key))[:MARKETS]
    return {f"{by_market[key][-1].collateral or key[2]}/{by_market[key][-1].loan} {key[2][:8]}": by_market[key] for key in chosen}


def _strips(axes: Axes, markets: dict[str, list[MarketObserved]]) -> None:
    """A row a market, coloured by utilisation; what was not observed stays white."""
    import numpy as np

    drawn = None
    for place, rows in enumerate(markets.values()):
        edges, values = _cells(rows)
        drawn = axes.pcolormesh(edges, [place - 0.4, place + 0.4], np.array([values]), cmap="cividis", vmin=0.5, vmax=1.0, rasterized=True)
    axes.set_yticks(range(len(markets)), [short(name) for name in markets])
    axes.tick_params(axis="y", labelsize=8)
    for label, colour in zip(axes.get_yticklabels(), LINES, strict=False):
        # the lines below have the colours of these names
        label.set_color(colour)
        label.set_fontweight("bold")
    if drawn is not None:
        bar = axes.figure.colorbar(drawn, ax=axes, pad=0.01, fraction=0.03, ticks=[0.5, 0.75, 1.0])
        bar.set_label("utilisation", fontsize=8)
        bar.ax.set_yticklabels(["≤ 50 %", "75 %", "100 %"], fontsize=7)


def _cells(rows: list[MarketObserved]) -> tuple[list[float], list[float]]:
    """Edges in time and the utilisation between each two, NaN where nothing is known. A figure stands until the next one, but not over
    a hole, which is a distance of more than twice the one before."""
    dates = [_date(one.t) for one in rows]
    steps = [later - earlier for earlier, later in pairwise(dates)]
    usual = sorted(steps)[len(steps) // 2] if steps else 1.0
    edges, values = [dates[0]], list[float]()
    for number, one in enumerate(rows):
        before = steps[max(0, number - 1)] if steps else usual
        used = utilisation(one.supply_usd, one.borrow_usd)
        end = dates[number] + min(steps[number] if number < len(steps) else usual, 2 * max(usual, before))
        values.append(float("nan") if used is None else min(used, 1.0))
        edges.append(end)
        if number < len(steps) and end < dates[number + 1]:
            values.append(float("nan"))
            edges.append(dates[number + 1])
    return edges, values


def _supply(axes: Axes, markets: dict[str, list[MarketObserved]]) -> None:
    from aggregator.cli.plot_style import money_axis

    for number, rows in enumerate(list(markets.values())[:TOKENS]):
        dates = [_date(one.t) for one in rows]
        colour = LINES[number]
        axes.step(dates, [_shown(one.supply_usd) for one in rows], where="post", color=colour)
        axes.step(dates, [_shown(one.borrow_usd) for one in rows], where="post", color=colour, linestyle="--", alpha=0.7)
    axes.set_ylabel("supplied (line),\nborrowed (dashes), USD", fontsize=9)
    money_axis(axes, vertical=True)
    axes.set_ylim(bottom=0)


def _prices(axes: Axes, history: Sequence[Observed], colours: dict[str, str]) -> None:
    """The tokens that fell most, in the colours of their markets."""
    free = [colour for colour in LINES if colour not in colours.values()] or [GREY]
    by_asset: dict[str, list[PriceObserved]] = {}
    for one in history:
        if isinstance(one, PriceObserved) and not is_oracle(one.source):
            by_asset.setdefault(one.asset, []).append(one)
    moved = sorted(by_asset, key=lambda asset: (min(_relative(by_asset[asset])), asset))[:TOKENS]
    for number, asset in enumerate(moved):
        axes.plot(
            [_date(one.t) for one in by_asset[asset]],
            _relative(by_asset[asset]),
            color=colours.get(asset, free[number % len(free)]),
            label=short(asset),
        )
    axes.set_ylabel("price, first = 1", fontsize=9)
    if moved:
        axes.legend(loc="lower left", frameon=False, fontsize=8)


def _relative(rows: Sequence[PriceObserved]) -> list[float]:
    first = next((one.usd for one in rows if one.usd), None)
    return [one.usd / first if one.usd is not None and first else float("nan") for one in rows]


def _shown(value: float | None) -> float:
    return float("nan") if value is None else value


def _flags(axes: Axes, told: Sequence[Alert], report: QualityReport) -> None:
    """What the vertical lines are, under the picture."""
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=COLOURS[severity], label=severity) for severity in COLOURS if any(alert.severity == severity for alert in told)
    ]
    if report.breaks:
        marks.append(Line2D([], [], color=INK, linestyle=":", label=f"price {short(report.breaks[0].token)} 5 % down"))
    if marks:
        axes.figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False)
