"""Sources are found as solc finds them; artifacts of every tool are read alike; libraries must be linked."""

from __future__ import annotations

from pathlib import Path

import pytest

from aggregator.localnet.compiling import Artifact, CompileError, Compiler, LinkError, SourceTree, Unit, read_artifact
from aggregator.localnet.packages import PackageStore, cache_directory

LIBRARY = "0x00000000000000000000000000000000000000Ab"
SETTINGS = {"optimizer": {"enabled": True, "runs": 200}}


@pytest.mark.parametrize(
    "document",
    [
        {"abi": [], "bytecode": "0x6001"},
        {"abi": [], "bytecode": {"object": "0x6001", "linkReferences": {}}},
        {"abi": [], "evm": {"bytecode": {"object": "6001"}}},
    ],
)
def test_artifacts_of_every_tool(document: dict[str, object]) -> None:
    assert read_artifact("A", document).code == b"\x60\x01"


def test_libraries_are_linked_where_they_belong() -> None:
    placeholder = "__$" + "a" * 34 + "$__"
    document: dict[str, object] = {
        "abi": [],
        "bytecode": "0x73" + placeholder + "00",
        "linkReferences": {"Lib.sol": {"Lib": [{"start": 1, "length": 20}]}},
    }
    artifact = read_artifact("A", document)
    assert artifact.linked({"Lib": LIBRARY}) == b"\x73" + bytes.fromhex(LIBRARY[2:]) + b"\x00"
    with pytest.raises(LinkError, match="A needs the library Lib"):
        _ = artifact.code
    with pytest.raises(LinkError, match="has no code"):
        _ = Artifact("Interface", (), b"", {}).code


def test_imports_are_followed_through_directories_and_remappings(tmp_path: Path) -> None:
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "lib").mkdir()
    (tmp_path / "own" / "A.sol").write_text(
        'import {B as C} from "./deep/B.sol";\nimport {\n  D\n} from "outside/D.sol";\n// import "./no.sol";\n'
    )
    (tmp_path / "own" / "deep" / "B.sol").write_text("import '../E.sol';")
    (tmp_path / "own" / "E.sol").write_text("")
    (tmp_path / "lib" / "D.sol").write_text("")
    tree = SourceTree({"own/": tmp_path / "own", "@lib/": tmp_path / "lib"}, {"outside/": "@lib/"})
    assert set(tree.gather(["own/A.sol"])) == {"own/A.sol", "own/deep/B.sol", "own/E.sol", "@lib/D.sol"}
    assert tree.solc_remappings() == ["outside/=@lib/"]
    with pytest.raises(CompileError, match=r"no source directory for other/X\.sol"):
        tree.gather(["other/X.sol"])


@pytest.mark.localnet
async def test_compiling_keeps_its_results(tmp_path: Path) -> None:
    told: list[str] = []
    compiler = Compiler(tmp_path, PackageStore(cache_directory()), lambda stage, detail: told.append(detail))
    good = Unit("good", "0.8.28", {"A.sol": "pragma solidity 0.8.28; contract A {}"}, {"A.sol": ("A",)}, SETTINGS)
    first = await compiler.compile(good)
    again = await compiler.compile(good)
    assert first["A"].code == again["A"].code
    assert told == ["good with solc 0.8.28"]


@pytest.mark.localnet
async def test_what_solc_refuses_is_said(tmp_path: Path) -> None:
    compiler = Compiler(tmp_path, PackageStore(cache_directory()))
    bad = Unit("bad", "0.8.28", {"A.sol": "contract A { uint x = true; }"}, {"A.sol": ("A",)}, SETTINGS)
    with pytest.raises(CompileError, match="bad: TypeError"):
        await compiler.compile(bad)
    absent = Unit("absent", "0.8.28", {"A.sol": "contract A {}"}, {"A.sol": ("B",)}, SETTINGS)
    with pytest.raises(CompileError, match="no contract named B"):
        await compiler.compile(absent)
    assert list((tmp_path / "compiled").iterdir()) == []
