"""How the engine asks the risk room: the policy that the adapters' manifests imply, and one call from picture to document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aggregator.engine.document import HealthDocument, build_document
from aggregator.engine.snapshot import Picture
from aggregator.engine.transfers import links
from aggregator.model.portfolio import Portfolio
from aggregator.model.price import PriceBook
from aggregator.reading.adapter import Adapter
from aggregator.reading.catalogue import adapters
from aggregator.reading.manifest import Capability, Support
from aggregator.risk.assessment import Assessment, assess_prepared
from aggregator.risk.explain import explain
from aggregator.risk.policy import DEFAULT, Policy
from aggregator.risk.prepared import prepare


def policy_for(known: Iterable[Adapter], base: Policy = DEFAULT) -> Policy:
    """The policy in which only protocols that state a health can hide a debt when they cannot be read."""
    stateless = {one.slug for one in known if one.manifest.capabilities.get(Capability.HEALTH, Support.NONE) is Support.NONE}
    return replace(base, debt_free_protocols=base.debt_free_protocols | stateless)


def policy_of(portfolio: Portfolio, prices: PriceBook) -> Policy:
    """The policy for one portfolio: what the adapters' manifests imply, and the ways between its places."""
    return replace(policy_for(adapters()), links=links(portfolio, prices))


def judge(picture: Picture, policy: Policy | None = None) -> tuple[Assessment, HealthDocument]:
    """Assessment and document of one picture. Pure but for the list of adapters and of ways."""
    chosen = policy if policy is not None else policy_of(picture.portfolio, picture.prices)
    ready = prepare(picture.portfolio, picture.prices, picture.history, chosen)
    assessment = assess_prepared(ready)
    return assessment, build_document(picture.portfolio, picture.prices, assessment, explain(ready, assessment))
