"""When the soak calls a series flat: known slopes, bursts, a warm-up, and too little to say anything."""

from __future__ import annotations

import random

import pytest

from benchmarks.soak.flatness import TOLERATED_PER_MINUTE, Slope, slope_of

EVERY = 10.0


def series(minutes: float, per_minute: float, noise: float = 0.0) -> tuple[list[float], list[float]]:
    source = random.Random(1)
    seconds = [EVERY * (number + 1) for number in range(int(minutes * 60 / EVERY))]
    return seconds, [200 + at / 60 * per_minute + source.gauss(0, noise) for at in seconds]


@pytest.mark.parametrize("per_minute", [0.0, 0.5, -0.5, 12.0])
def test_a_known_slope_is_found(per_minute: float) -> None:
    found = slope_of(*series(30, per_minute), warm_up_seconds=600)
    assert found.per_minute == pytest.approx(per_minute, abs=1e-9)
    assert found.low - 1e-9 <= found.per_minute <= found.high + 1e-9
    assert found.blocks == 20 and found.per_day == pytest.approx(per_minute * 1440, abs=1e-6)


def test_growth_that_matters_is_told_from_noise_and_from_growth_that_does_not() -> None:
    assert not slope_of(*series(30, 5 * TOLERATED_PER_MINUTE, noise=1.0), warm_up_seconds=600).flat
    assert slope_of(*series(30, 0.0, noise=3.0), warm_up_seconds=600).flat
    assert slope_of(*series(30, TOLERATED_PER_MINUTE / 2), warm_up_seconds=600).flat
    assert slope_of(*series(30, -2.0), warm_up_seconds=600).flat


def test_bursts_and_the_warm_up_count_for_nothing() -> None:
    seconds, values = series(30, 0.0, noise=0.5)
    values = [value + (300 - at / 2 if at < 600 else 0) for at, value in zip(seconds, values, strict=True)]
    for place in (70, 71, 100, 130, 131, 170):
        values[place] += 150
    found = slope_of(seconds, values, warm_up_seconds=600)
    assert found.flat and abs(found.per_minute) < 0.05


def test_nothing_is_said_of_less_than_four_minutes() -> None:
    with pytest.raises(ValueError, match="3 minutes are left"):
        slope_of(*series(8, 0.0), warm_up_seconds=301)


def test_the_line_between() -> None:
    assert Slope(0.2, -0.01, 0.4, 20).flat and Slope(0.09, 0.05, 0.13, 20).flat
    assert not Slope(0.2, 0.01, 0.4, 20).flat
