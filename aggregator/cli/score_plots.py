"""Reliability as plots: what was expected against what happened, with the intervals over weeks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.cli.plot_style import BLUE, GREY, ORANGE, legend_below, one_figure, titled, written
from aggregator.cli.score_report import WORDS
from aggregator.risk.score_backtest.record import SCORE, HorizonRecord, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 1e-5
"""probabilities and rates below it stand on the axis"""


def write_reliability(record: Record, folder: Path, form: str) -> list[Path]:
    """One file a horizon, named `reliability-1d`."""
    return written({f"reliability-{name}": figure(name, one) for name, one in record.horizons.items()}, folder, form)


def figure(name: str, horizon: HorizonRecord) -> Figure:
    """Observed rate over mean probability of groups of accounts, on logarithmic axes."""
    made, axes = one_figure(6.6, 6.4)
    axes.plot([LEAST, 1], [LEAST, 1], color=GREY, linewidth=1.0, linestyle="--", label="as expected")
    _points(axes, horizon, horizon.rival, ORANGE, "s")
    _points(axes, horizon, SCORE, BLUE, "o")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(LEAST, 1.3)
    axes.set_ylim(LEAST, 1.3)
    axes.set_xlabel("mean probability of the group")
    axes.set_ylabel("share that was liquidated")
    own = horizon.models[SCORE].overall
    skill = "—" if own.skill is None else f"{own.skill:+.3f}"
    titled(axes, f"Liquidation within {WORDS[name]}", f"{own.accounts} accounts, {own.observed} liquidated; Brier skill {skill}")
    legend_below(made, axes, 3)
    return made


def _points(axes: Axes, horizon: HorizonRecord, model: str, colour: str, marker: str) -> None:
    groups = horizon.models[model].reliability
    means = [max(group.mean, LEAST) for group in groups]
    rates = [max(group.rate, LEAST) for group in groups]
    below = [max(rate - max(group.rate_interval[0], LEAST), 0.0) for rate, group in zip(rates, groups, strict=True)]
    above = [max(group.rate_interval[1] - rate, 0.0) for rate, group in zip(rates, groups, strict=True)]
    axes.errorbar(
        means, rates, yerr=[below, above], color=colour, marker=marker, linestyle="none", markersize=5, elinewidth=1.0, label=model
    )
