"""The pay-off plot: profit and loss over the move of one underlying, now and at expiry, before and after a shock's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.cli.plot_style import BLUE, GREY, INK, ORANGE, legend_below, money_axis, one_figure, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aggregator.risk.payoff import Payoff


def payoff_curve(one: Payoff, title: str, acted: Payoff | None = None) -> Figure:
    """A curve for today's value, one for expiry where something expires, and one after actions where there were some."""
    figure, axes = one_figure(7.6, 4.8)
    across = 100 * one.moves
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1.2, label="today")
    axes.plot(across, one.now, color=BLUE, linewidth=2.2, label="now")
    if one.at_expiry is not None:
        axes.plot(across, one.at_expiry, color=BLUE, linewidth=1.6, linestyle=":", label="at expiry")
    if acted is not None:
        axes.plot(across, acted.now, color=ORANGE, linewidth=2.2, label="after the actions")
    axes.set_xlabel(f"move of {one.underlying}, %")
    axes.set_ylabel("profit and loss, USD")
    axes.set_xlim(float(across.min()), float(across.max()))
    money_axis(axes, vertical=True)
    legend_below(figure, axes, 4)
    titled(axes, title, "everything that follows it, revalued in full")
    return figure
