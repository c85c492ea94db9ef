"""Which adapters there are: found by folder, and by the entry points `crossmargin.adapters`. The core names none of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata, resources
from pathlib import Path

from aggregator.model.errors import ConfigurationError
from aggregator.model.identifiers import Address, ChainId
from aggregator.reading.adapter import Adapter
from aggregator.reading.manifest import Manifest, load_data

ENTRY_POINTS = "crossmargin.adapters"
"""a package that ships adapters names itself here; its folders look like ours"""


@lru_cache(maxsize=1)
def adapters() -> tuple[Adapter, ...]:
    """All adapters, by slug. ConfigurationError for a bad manifest, a family nobody has, or a slug twice."""
    manifests: dict[str, tuple[str, Path, Manifest]] = {}
    for package, folder in folders("manifest.yaml"):
        manifest: Manifest = load_data(folder / "manifest.yaml", Manifest)
        if manifest.slug in manifests:
            raise ConfigurationError(folder / "manifest.yaml", None, "slug", f"{manifest.slug} is taken by {manifests[manifest.slug][1]}")
        manifests[manifest.slug] = (package, folder, manifest)
    return tuple(_adapter(manifests, slug) for slug in sorted(manifests))


@lru_cache(maxsize=1)
def held_tokens() -> Mapping[ChainId, Mapping[Address, str]]:
    """Slug of the one adapter that reads a token's balances, by chain and token, as the manifests' `holds` say.

    What is not in here is the plain wallet's. ConfigurationError for a token that two adapters hold or a role that no address has.
    """
    holders: dict[ChainId, dict[Address, str]] = {}
    for adapter in adapters():
        for chain, deployments in adapter.manifest.deployments.items():
            for deployment in deployments:
                for role in deployment.holds:
                    _hold(holders.setdefault(chain, {}), adapter.slug, role, deployment.contracts.get(role))
    return holders


def _hold(holders: dict[Address, str], slug: str, role: str, token: Address | None) -> None:
    if token is None:
        raise ConfigurationError(f"{slug}/manifest.yaml", None, "holds", f"{role} is not a role in contracts")
    if holders.setdefault(token, slug) != slug:
        raise ConfigurationError(f"{slug}/manifest.yaml", None, "holds", f"{token} is read by {holders[token]} already")


def folders(name: str) -> list[tuple[str, Path]]:
    """Package and path of every adapter folder that holds a file of this name."""
    return [
        (package, folder)
        for package in _packages()
        for folder in sorted(Path(str(resources.files(package))).iterdir())
        if (folder / name).is_file()
    ]


def _packages() -> Iterable[str]:
    yield "adapters"
    yield from sorted(point.value for point in metadata.entry_points(group=ENTRY_POINTS))


def _adapter(manifests: dict[str, tuple[str, Path, Manifest]], slug: str) -> Adapter:
    _, folder, manifest = manifests[slug]
    if manifest.family not in manifests:
        raise ConfigurationError(folder / "manifest.yaml", None, "family", f"no adapter folder has the slug {manifest.family}")
    package, family_folder, _ = manifests[manifest.family]
    module = importlib.import_module(f"{package}.{family_folder.name}.adapter")
    kind = module.ADAPTER
    if not (isinstance(kind, type) and issubclass(kind, Adapter)):
        raise ConfigurationError(
            family_folder / "adapter.py", None, "ADAPTER", "must be a class derived from aggregator.reading.adapter.Adapter"
        )
    return kind(manifest)
