"""How often a head is asked for where nobody tells it."""

from __future__ import annotations

import pytest

from aggregator.chains.configuration import load_chains
from aggregator.engine.live.head import POLL_SHARE, poll_interval
from aggregator.model.identifiers import ChainId

CHAINS = load_chains(None).chains


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_asking_for_heads_takes_no_more_than_its_share_of_an_endpoint(chain: str) -> None:
    configuration = CHAINS[ChainId(chain)]
    seconds = poll_interval(configuration)
    assert seconds == 4.0 or 1 / seconds <= POLL_SHARE * configuration.endpoints[0].requests_per_second + 1e-9
    assert seconds >= min(configuration.block_time_seconds / 4, 4.0)


def test_a_node_of_ones_own_is_asked_as_often_as_blocks_come() -> None:
    fast = min(CHAINS.values(), key=lambda one: one.block_time_seconds)
    own = fast.endpoints[0].model_copy(update={"requests_per_second": 1_000.0})
    assert poll_interval(fast.model_copy(update={"endpoints": (own,)})) == 0.25 < poll_interval(fast)
