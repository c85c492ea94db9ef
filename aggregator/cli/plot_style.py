"""How plots look and how they are written: one style, short figures, names that are never read as formulas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aggregator.model.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY, INK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C", "#222222"
"""told apart without colour vision (Okabe and Ito)"""
LONGEST_LABEL = 34
PADDING = 0.12
"""inches around everything"""


def signed(move: float) -> str:
    """`−37.2 %`."""
    shown = round(100 * move, 1)
    return f"{'−' if shown < 0 else '+'}{abs(shown):.1f} %"


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """A legend under everything, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def plain(text: str) -> str:
    """Names from chains as they are: nothing in them is read as a formula."""
    return "".join(character for character in text if character.isprintable() or character == "\n").replace("$", r"\$")


def shock_text(shocks: Sequence[str]) -> str:
    text = plain(", ".join(shocks)) or "no shock"
    return text if len(text) <= 90 else f"{text[:88]}…"


def short(name: str) -> str:
    shown = name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
    return plain(shown)


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def one_figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure as Made

    figure = Made(figsize=(width, height), layout="constrained")
    _padded(figure)
    axes = figure.add_subplot()
    _plain_style(axes)
    return figure, axes


def two_figures(width: float, height: float, ratios: tuple[float, float]) -> tuple[Figure, tuple[Axes, Axes]]:
    from matplotlib.figure import Figure as Made

    figure = Made(figsize=(width, height), layout="constrained")
    _padded(figure)
    top, bottom = figure.subplots(2, 1, gridspec_kw={"height_ratios": ratios})
    for axes in (top, bottom):
        _plain_style(axes)
    return figure, (top, bottom)


def _padded(figure: Figure) -> None:
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(w_pad=PADDING, h_pad=PADDING)  # type: ignore[call-arg]


def _plain_style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def titled(axes: Axes, title: str, below: str) -> None:
    axes.set_title(f"{title}\n", loc="left", fontsize=12, fontweight="bold", color=INK)
    # in points, not in shares of the axes: below a title, whatever the height
    axes.annotate(below, (0, 1), xycoords="axes fraction", xytext=(0, 5), textcoords="offset points", fontsize=9, color=INK, va="bottom")


def money_axis(axes: Axes, vertical: bool = False) -> None:
    from matplotlib.ticker import FuncFormatter

    axis = axes.yaxis if vertical else axes.xaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: money_tick(float(value))))


def money_tick(value: float) -> str:
    """`−1.5k`, `25M`: short figures for an axis."""
    size, sign = abs(value), "−" if value < 0 else ""
    for unit, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{sign}{size / unit:g}{letter}"
    return f"{sign}{size:g}"


def written(made: Mapping[str, Figure], folder: Path, form: str) -> list[Path]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, figure in made.items():
            path = folder / f"{name}.{form}"
            figure.savefig(path, dpi=150)
            paths.append(path)
    except OSError as error:
        raise InputError(f"--plot {folder}: {error.strerror or error}") from None
    return paths
