"""The causal graph of one scenario: from what happened, by what it led to, to what it ended in. Left to right, largest paths only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aggregator.cli.plot_style import BLUE, GREEN, GREY, INK, ORANGE, RED, money_tick, plain, shock_text, titled
from aggregator.contagion.causes import Cause, CauseKind
from aggregator.contagion.money import MICRO
from aggregator.engine.systemic.document import ends

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from aggregator.contagion.simulation import Simulation
    from aggregator.engine.systemic.schema import SimulationDocument

SHOWN_EVENTS = 30
COLUMNS, ENDS_A_CAUSE = 9, 4
WIDTH, HEIGHT = 0.84, 0.66
COLOURS = {
    CauseKind.SHOCK: RED,
    CauseKind.BACKING: "#CC79A7",
    CauseKind.PRICE: ORANGE,
    CauseKind.ORACLE: "#7A7A00",
    CauseKind.LIQUIDATION: BLUE,
    CauseKind.SALE: "#56B4E9",
    CauseKind.BAD_DEBT: "#8B1A1A",
    CauseKind.WRITE_DOWN: "#8B1A1A",
    CauseKind.WITHDRAWAL: GREEN,
    CauseKind.FREEZE: GREY,
}
_HEX = re.compile(r"0x[0-9a-fA-F]{16,}")


def causal_graph(found: Simulation, document: SimulationDocument) -> Figure:
    """Events as boxes in columns of what led to what; arrows from cause to effect."""
    from matplotlib.figure import Figure as Made
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
    from matplotlib.path import Path

    events = _chosen(found)
    column = _columns(events)
    places = _places(events, column)
    width, height = max(column.values()) + 1, max(place[1] for place in places.values()) + 1
    figure = Made(figsize=(1.75 * width + 0.6, 0.72 * height + 1.3), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlim(-0.05, width - 1 + WIDTH + 0.05)
    axes.set_ylim(height - 0.2, -0.15)
    axes.axis("off")
    for number, event in events.items():
        x, y = places[number]
        for parent in event.parents:
            if parent in places:
                px, py = places[parent]
                start, end = (px + WIDTH, py + HEIGHT / 2), (x, y + HEIGHT / 2)
                bend = (end[0] - start[0]) / 2
                bow = Path([start, (start[0] + bend, start[1]), (end[0] - bend, end[1]), end], [Path.MOVETO, *[Path.CURVE4] * 3])
                arrow = FancyArrowPatch(path=bow, arrowstyle="-|>", mutation_scale=9, color=GREY, linewidth=1)
                axes.add_patch(arrow)
    for number, event in events.items():
        x, y = places[number]
        colour = COLOURS[event.kind]
        box = FancyBboxPatch(
            (x, y), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", facecolor="white", edgecolor=colour, linewidth=1.6
        )
        axes.add_patch(box)
        axes.text(x + WIDTH / 2, y + 0.13, event.kind.value, ha="center", va="center", fontsize=7, color=colour, fontweight="bold")
        axes.text(x + WIDTH / 2, y + 0.34, _name(event), ha="center", va="center", fontsize=6.6, color=INK)
        amount = abs(event.amount) / MICRO
        if amount:
            axes.text(x + WIDTH / 2, y + 0.54, f"{money_tick(float(f'{amount:.3g}'))} USD", ha="center", va="center", fontsize=7, color=INK)
    left = len(found.causes) - len(events)
    below = f"{shock_text(document.shocks)}" + (f"; {left} other events left out" if left else "")
    titled(axes, "What led to what", below)
    return figure


def _chosen(found: Simulation) -> dict[int, Cause]:
    """The largest ends and everything on their main paths, as many as a picture holds."""
    chosen: dict[int, Cause] = {}
    beside: dict[int, int] = {}  # ends of each cause
    for end in ends(found):
        main = end.parents[0] if end.parents else -1
        beside[main] = beside.get(main, 0) + 1
        if beside[main] > ENDS_A_CAUSE:
            continue
        path = found.causes.path(end.number)
        if len(path) > COLUMNS:
            path = path[-COLUMNS:]
        new = [event for event in path if event.number not in chosen]
        if len(chosen) + len(new) > SHOWN_EVENTS:
            continue
        chosen |= {event.number: event for event in new}
    if not chosen:
        chosen = {event.number: event for event in list(found.causes)[:SHOWN_EVENTS]}
    return dict(sorted(chosen.items()))


def _columns(events: dict[int, Cause]) -> dict[int, int]:
    """Longest chain of shown causes before each event."""
    column: dict[int, int] = {}
    for number, event in events.items():
        column[number] = max((column[parent] + 1 for parent in event.parents if parent in column), default=0)
    return column


def _places(events: dict[int, Cause], column: dict[int, int]) -> dict[int, tuple[float, float]]:
    """Rows beside the causes where there is room."""
    places: dict[int, tuple[float, float]] = {}
    for at in range(max(column.values()) + 1):
        here = [number for number in events if column[number] == at]

        def wished(number: int) -> float:
            rows = [places[parent][1] for parent in events[number].parents if parent in places]
            return sum(rows) / len(rows) if rows else 0.0

        here.sort(key=lambda number: (wished(number), -abs(events[number].amount), number))
        following = 0.0
        for number in here:
            row = max(following, wished(number)) if at else following
            places[number] = (float(at), row)
            following = row + 1.0
    return places


def _name(event: Cause) -> str:
    text = _HEX.sub(lambda hexed: f"{hexed[0][:6]}…", event.subject)
    text = text.removeprefix("lenders of ")
    return plain(text if len(text) <= 24 else f"{text[:23]}…")
