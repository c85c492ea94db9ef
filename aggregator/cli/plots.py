"""Plots as files: liquidation surfaces, scenarios before and after, figures before and after. matplotlib is optional and loaded late.

Every axis says what it shows in which unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aggregator.cli.plot_payoff import payoff_curve
from aggregator.cli.plot_style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    legend_below,
    money_axis,
    one_figure,
    plain,
    shock_text,
    short,
    signed,
    slug,
    titled,
    two_figures,
    written,
)
from aggregator.model.errors import CrossmarginError, InputError
from aggregator.model.identifiers import ChainId

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from aggregator.engine.what_if import BookRun, MethodResult, WhatIfRun
    from aggregator.model.instrument import VenueAccount
    from aggregator.risk.requirement import Requirement
    from aggregator.risk.surface import Surface
    from aggregator.risk.what_if import State

IntArray: TypeAlias = NDArray[np.int64]

BEFORE, AFTER = BLUE, ORANGE
SCENARIOS = 12
HIGHEST_HEALTH = 3.0
"""health above it is all one colour: far from the line"""
INSTALL = "plots need matplotlib: pip install 'crossmargin[plots]'"


def require_matplotlib() -> None:
    """InputError in one line where it is not installed."""
    if find_spec("matplotlib") is None:
        raise InputError(INSTALL)


def what_if_plots(run: WhatIfRun, folder: Path, form: str, names: Mapping[ChainId, str]) -> list[Path]:
    """All plots of a run: figures, scenarios, and a surface for each account that owes something."""
    require_matplotlib()
    made: dict[str, Figure] = {"before-and-after": before_and_after(run, names)}
    if run.start.before.requirement is not None and run.after.requirement is not None:
        made["scenarios"] = scenario_bars(run.start.before.requirement, run.after.requirement, run.request.shock.words)
    made.update(_payoff(run))
    for number, one in sorted(run.surfaces.items()):
        title = _account_title(run, number, names)
        made[f"surface-{number + 1}-{_account_slug(run, number)}"] = liquidation_surface(one, title, _landing(run, one))
    return written(made, folder, form)


def _payoff(run: WhatIfRun) -> dict[str, Figure]:
    """Of the factor that matters most, or of what the axes name."""
    from aggregator.risk.payoff import main_factor, portfolio_payoff

    before, after = run.start.prepared.exposures, run.what_if.prepared.exposures
    chosen = next((name for name in before.factors if name in run.request.axes), None) or main_factor(before)
    if chosen is None:
        return {}
    acted = portfolio_payoff(after, chosen) if run.request.actions and chosen in after.factors else None
    return {"payoff": payoff_curve(portfolio_payoff(before, chosen), f"Equity over moves of {short(chosen)}", acted)}


def book_plots(run: BookRun, folder: Path, form: str) -> list[Path]:
    """Requirement and equity by method, the pay-off of each underlying, and the scenarios of each method that has some."""
    from aggregator.risk.payoff import book_payoff

    require_matplotlib()
    made = {"methods": method_bars(run.methods, run.request.shock.words)}
    for name in run.given.book.underlyings:
        made[f"payoff-{slug(name)}"] = payoff_curve(
            book_payoff(run.given.book, run.given.market, name), f"Pay-off over moves of {short(name)}"
        )
    for one in run.methods:
        if one.before is not None and one.after is not None and len(one.before.scenarios.names) > 1:
            made[f"scenarios-{slug(one.method)}"] = method_scenarios(one)
    return written(made, folder, form)


def liquidation_surface(surface: Surface, title: str, landing: tuple[float, float] | None = None) -> Figure:
    """Health over the moves of two drivers with the line where it is 1, today, the nearest point of the line, and where a shock lands."""
    if surface.vertical is None:
        return _one_driver(surface, title, landing)
    figure, axes = one_figure(7.6, 5.8)
    from matplotlib.colors import TwoSlopeNorm

    x, y = 100 * surface.across, 100 * surface.up
    shown = np.clip(np.where(np.isfinite(surface.health), surface.health, HIGHEST_HEALTH), 0.0, HIGHEST_HEALTH)
    norm = TwoSlopeNorm(vmin=min(0.5, float(shown.min())), vcenter=1.0, vmax=max(1.5, float(shown.max())))
    mesh = axes.pcolormesh(x, y, shown, cmap="RdBu", norm=norm, shading="nearest", rasterized=True)
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label("health factor at the protocol's oracle")
    levels = [level for level in (1.1, 1.25, 1.5, 2.0, 2.5) if shown.min() < level < shown.max()]
    if levels:
        lines = axes.contour(x, y, shown, levels=levels, colors=INK, linewidths=0.6, alpha=0.6)
        axes.clabel(lines, fmt="%.2f", fontsize=8)
    if shown.min() < 1.0 < shown.max():
        axes.contour(x, y, shown, levels=[1.0], colors=INK, linewidths=2.2)
        axes.plot([], [], color=INK, linewidth=2.2, label="liquidation line, health 1")
    _marks(axes, surface, landing)
    axes.set_xlabel(f"move of {_driver_name(surface.horizontal.name)}, %")
    axes.set_ylabel(f"move of {_driver_name(surface.vertical.name)}, %")
    axes.set_xlim(float(x.min()), float(x.max()))
    axes.set_ylim(float(y.min()), float(y.max()))
    legend_below(figure, axes, 2)
    titled(axes, title, _distance(surface))
    return figure


def scenario_bars(before: Requirement, after: Requirement, shocks: Sequence[str] = ()) -> Figure:
    """Losses of the worst scenarios, before the shock and after it."""
    first = {one.name: one.loss for one in before.scenarios}
    second = {one.name: one.loss for one in after.scenarios}
    worst = sorted(first.keys() | second.keys(), key=lambda name: (-max(first.get(name, 0.0), second.get(name, 0.0)), name))[:SCENARIOS]
    figure, axes = one_figure(8.2, 1.7 + 0.42 * len(worst))
    rows = np.arange(len(worst))
    _pair_of_bars(axes, rows, [first.get(name, 0.0) for name in worst], [second.get(name, 0.0) for name in worst])
    axes.set_yticks(rows, [short(name) for name in worst])
    axes.invert_yaxis()
    axes.set_xlabel("loss, USD")
    axes.axvline(before.transfer_aware, color=BEFORE, linestyle=":", linewidth=1.5, label="requirement before")
    axes.axvline(after.transfer_aware, color=AFTER, linestyle=":", linewidth=1.5, label="requirement after")
    money_axis(axes)
    legend_below(figure, axes, 4)
    titled(axes, "What the worst scenarios would cost", shock_text(shocks))
    return figure


def before_and_after(run: WhatIfRun, names: Mapping[ChainId, str]) -> Figure:
    """Figures of the whole portfolio, and the health of every account that owes something, before and after."""
    start, after = run.start.before, run.after
    owing = [number for number, one in enumerate(after.accounts) if one.health is not None or start.accounts[number].health is not None]
    figure, (top, bottom) = two_figures(8.6, 3.4 + 0.55 * max(len(owing), 1), (2.2, 0.55 * max(len(owing), 1) + 0.5))
    labels, first, second = _totals(start, after)
    _pair_of_bars(top, np.arange(len(labels)), first, second, vertical=True)
    top.set_xticks(np.arange(len(labels)), labels)
    top.set_ylabel("USD")
    money_axis(top, vertical=True)
    top.axhline(0, color=INK, linewidth=0.8)
    top.legend(loc="upper right", frameon=False, ncols=2)
    titled(top, "The portfolio before and after", shock_text(run.request.shock.words))
    if owing:
        healths = [[_shown_health(state.accounts[number].health) for number in owing] for state in (start, after)]
        rows = np.arange(len(owing))
        _pair_of_bars(bottom, rows, healths[0], healths[1], labels="%.2f", values=[_healths(start, owing), _healths(after, owing)])
        bottom.axvline(1.0, color=RED, linewidth=1.8)
        bottom.text(1.0, -0.75, "liquidation", color=RED, ha="center", va="bottom", fontsize=9)
        bottom.set_yticks(rows, [_account_title(run, number, names, short=True) for number in owing])
        bottom.invert_yaxis()
        bottom.set_xlim(0, min(HIGHEST_HEALTH, max([1.4, *healths[0], *healths[1]])) * 1.12)
        bottom.set_xlabel(
            f"health factor at the protocol's oracle{' (cut off at 3)' if max([*healths[0], *healths[1]]) >= HIGHEST_HEALTH else ''}"
        )
    else:
        bottom.set_axis_off()
        bottom.text(0.5, 0.5, "no margin account owes anything", ha="center", va="center", color=GREY)
    return figure


def method_bars(methods: Sequence[MethodResult], shocks: Sequence[str]) -> Figure:
    """Maintenance margin by method against equity, before and after."""
    shown = [one for one in methods if one.before is not None and one.after is not None]
    if not shown:
        raise CrossmarginError("no margin method has a figure to plot")
    figure, axes = one_figure(8.2, 1.9 + 0.55 * len(shown))
    rows = np.arange(len(shown))
    _pair_of_bars(axes, rows, [one.before.amount for one in shown if one.before], [one.after.amount for one in shown if one.after])
    for row, one in enumerate(shown):
        for state, colour, offset in ((one.before, BEFORE, -0.2), (one.after, AFTER, 0.2)):
            if state is not None and state.equity is not None:
                axes.plot([state.equity], [row + offset], marker="D", color=colour, markeredgecolor=INK, markersize=6, linestyle="none")
    axes.plot([], [], marker="D", color="white", markeredgecolor=INK, linestyle="none", label="equity")
    axes.set_yticks(rows, [one.method for one in shown])
    axes.invert_yaxis()
    axes.set_xlabel("maintenance margin, USD")
    money_axis(axes)
    legend_below(figure, axes, 3)
    titled(axes, "What each method requires", shock_text(shocks))
    return figure


def method_scenarios(one: MethodResult) -> Figure:
    """Profit and loss of one method's scenarios before and after, worst first."""
    if one.before is None or one.after is None:
        raise CrossmarginError(f"{one.method} has no figures to plot")
    first, second = (dict(zip(state.scenarios.names, state.scenarios.pnl.tolist(), strict=True)) for state in (one.before, one.after))
    worst = sorted(first, key=lambda name: (min(first[name], second.get(name, 0.0)), name))[:SCENARIOS]
    figure, axes = one_figure(8.2, 1.7 + 0.42 * len(worst))
    rows = np.arange(len(worst))
    _pair_of_bars(axes, rows, [first[name] for name in worst], [second.get(name, 0.0) for name in worst])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(rows, [short(name) for name in worst])
    axes.invert_yaxis()
    axes.set_xlabel("profit and loss, USD")
    money_axis(axes)
    legend_below(figure, axes, 2)
    titled(axes, f"Scenarios of {one.method}", "worst first")
    return figure


def _one_driver(surface: Surface, title: str, landing: tuple[float, float] | None) -> Figure:
    figure, axes = one_figure(7.6, 4.4)
    x, health = 100 * surface.across, np.clip(surface.health[0], 0.0, HIGHEST_HEALTH)
    axes.plot(x, health, color=BLUE, linewidth=2.2, label="health factor")
    axes.axhline(1.0, color=RED, linewidth=1.8, label="liquidation line, health 1")
    axes.fill_between(x, 0, 1, where=[bool(one) for one in surface.liquidatable[0]], color=RED, alpha=0.12)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1.2, label="today")
    if landing is not None:
        axes.axvline(100 * landing[0], color=ORANGE, linestyle="--", linewidth=1.6, label="after the shock")
    axes.set_xlabel(f"move of {_driver_name(surface.horizontal.name)}, %")
    axes.set_ylabel("health factor at the protocol's oracle")
    axes.set_xlim(float(x.min()), float(x.max()))
    axes.set_ylim(0, min(HIGHEST_HEALTH, max(1.5, float(health.max()))) * 1.05)
    axes.legend(loc="best", frameon=True)
    titled(axes, title, _distance(surface))
    return figure


def _marks(axes: Axes, surface: Surface, landing: tuple[float, float] | None) -> None:
    axes.plot([0], [0], marker="o", color="white", markeredgecolor=INK, markersize=9, linestyle="none", label="today")
    nearest = surface.boundary.nearest
    if nearest is not None and _inside(surface, nearest):
        point = (100 * nearest[0], 100 * nearest[1])
        axes.plot([0, point[0]], [0, point[1]], color=INK, linestyle=":", linewidth=1.4)
        axes.plot([point[0]], [point[1]], marker="D", color=INK, markersize=7, linestyle="none", label="nearest liquidation")
    if landing is not None:
        where = np.clip(landing[0], surface.across.min(), surface.across.max()), np.clip(landing[1], surface.up.min(), surface.up.max())
        outside = "" if _inside(surface, landing) else ", beyond the edge"
        mark = {"marker": "X", "color": ORANGE, "markeredgecolor": INK, "markersize": 11, "linestyle": "none", "clip_on": False}
        axes.plot([100 * where[0]], [100 * where[1]], label=f"after the shock{outside}", **mark)  # type: ignore[arg-type]


def _inside(surface: Surface, point: tuple[float, float]) -> bool:
    return bool(surface.across.min() <= point[0] <= surface.across.max() and surface.up.min() <= point[1] <= surface.up.max())


def _landing(run: WhatIfRun, surface: Surface) -> tuple[float, float] | None:
    """Where the shock puts the two drivers; None where it moves neither."""
    moves = {**run.after.moves.factors, **run.after.moves.bases}
    found = [float(moves.get(one.name, 1)) - 1.0 if one is not None else 0.0 for one in (surface.horizontal, surface.vertical)]
    return (found[0], found[1]) if any(found) else None


def _totals(start: State, after: State) -> tuple[list[str], list[float], list[float]]:
    rows = [("owned", start.collateral_usd, after.collateral_usd), ("owed", start.debt_usd, after.debt_usd)]
    rows.append(("equity", start.equity_usd, after.equity_usd))
    kept = [(label, float(one), float(other)) for label, one, other in rows if one is not None and other is not None]
    if start.requirement is not None and after.requirement is not None:
        kept.append(("requirement", start.requirement.transfer_aware, after.requirement.transfer_aware))
    loss = after.expected_loss_usd
    if loss:
        kept.append(("loss by\nliquidation", start.expected_loss_usd or 0.0, loss))
    return [label for label, _, _ in kept], [one for _, one, _ in kept], [other for _, _, other in kept]


def _pair_of_bars(
    axes: Axes,
    rows: IntArray,
    first: Sequence[float],
    second: Sequence[float],
    vertical: bool = False,
    labels: str = "",
    values: Sequence[Sequence[float | None]] = (),
) -> None:
    """Two bars a row; with `labels` the figure behind each."""
    draw = axes.bar if vertical else axes.barh
    for number, (heights, colour, name, offset) in enumerate(((first, BEFORE, "before", -0.2), (second, AFTER, "after", 0.2))):
        bars = draw(rows + offset, heights, 0.38, color=colour, edgecolor="white", linewidth=0.5, label=name)
        if labels:
            texts = ["no debt" if value is None else labels % value for value in values[number]]
            axes.bar_label(bars, texts, padding=3, fontsize=8.5)


def _healths(state: State, owing: Sequence[int]) -> list[float | None]:
    return [float(health) if (health := state.accounts[number].health) is not None else None for number in owing]


def _shown_health(health: object) -> float:
    return min(float(str(health)), HIGHEST_HEALTH) if health is not None else 0.0


def _venue_account(run: WhatIfRun, number: int) -> VenueAccount | None:
    """The venue account of this number, None for one on a chain."""
    first = len(run.acted.portfolio.margin_accounts)
    return run.acted.portfolio.venue_accounts[number - first] if number >= first else None


def _account_slug(run: WhatIfRun, number: int) -> str:
    venue = _venue_account(run, number)
    if venue is not None:
        return slug(venue.venue)
    account = run.acted.portfolio.margin_accounts[number]
    return f"{slug(account.protocol)}-{slug(account.chain)}"


def _account_title(run: WhatIfRun, number: int, names: Mapping[ChainId, str], short: bool = False) -> str:
    venue = _venue_account(run, number)
    if venue is not None:
        return plain(f"{venue.venue} {venue.label or venue.account}"[:60])
    account = run.acted.portfolio.margin_accounts[number]
    label = account.market_label or (account.market if len(account.market) <= 12 else "")
    chain = names.get(account.chain, account.chain)
    if short:
        return plain("\n".join(part for part in (f"{account.protocol} {label}".strip()[:30], chain) if part))
    return plain(f"{account.protocol} {label} on {chain}".replace("  ", " "))


def _driver_name(name: str) -> str:
    kind, colon, symbol = name.partition(":")
    if colon and "/" not in name:
        return plain(f"the discount of {symbol} ({kind})")
    return plain(name if len(name) <= 24 else f"{name[:10]}…{name[-6:]}")


def _distance(surface: Surface) -> str:
    days, nearest = surface.boundary.distance, surface.boundary.nearest
    if days is None or nearest is None:
        return "no move of these two liquidates it"
    if days == 0:
        return "below the line already"
    moves = [f"{_driver_name(surface.horizontal.name)} {signed(nearest[0])}"]
    if surface.vertical is not None:
        moves.append(f"{_driver_name(surface.vertical.name)} {signed(nearest[1])}")
    return f"nearest liquidation {days:.1f} typical days away: {', '.join(moves)}"
