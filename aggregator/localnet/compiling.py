"""Solidity to bytecode with solc's JavaScript build, cached by the hash of everything that goes in.

Nothing of solc's own wrapper is used: its one WebAssembly module has a plain C function for standard JSON. Jobs of one
compiler version share one Node process; only the contracts that are wanted get code, which is most of the time.
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from aggregator.localnet.packages import PackageError, PackageStore, node_command
from aggregator.localnet.progress import Progress, silent
from aggregator.localnet.together import together

Json = dict[str, object]

_IMPORT = re.compile(r"""^\s*import\s+(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']""", re.MULTILINE)
_PLACEHOLDER = re.compile(r"__.{36}__")
_DRIVER = """
const soljson = require(process.argv[1]);
const compile = soljson.cwrap('solidity_compile', 'string', ['string', 'number', 'number']);
const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk));
process.stdin.on('end', () => {
  for (const job of JSON.parse(Buffer.concat(chunks).toString())) {
    process.stdout.write(compile(JSON.stringify(job), 0, 0) + '\\n');
  }
});
"""


class CompileError(RuntimeError):
    """solc refused the sources; the message holds its errors."""


class LinkError(ValueError):
    """Bytecode was used without the libraries it refers to."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A contract ready to be created.

    ``creation_code``: init code with zeros where library addresses belong; ``link_references``: the byte offsets of
    those places by library name. Use ``linked`` (or ``code`` when there are none).
    """

    name: str
    abi: tuple[Json, ...]
    creation_code: bytes
    link_references: Mapping[str, tuple[int, ...]]

    @property
    def code(self) -> bytes:
        """The init code of a contract without external libraries; raises LinkError otherwise."""
        return self.linked({})

    def linked(self, libraries: Mapping[str, str]) -> bytes:
        """The init code with ``libraries`` (name -> address) filled in; raises LinkError for a missing one."""
        if not self.creation_code:
            raise LinkError(f"{self.name} has no code (an interface or an abstract contract)")
        code = bytearray(self.creation_code)
        for library, offsets in self.link_references.items():
            if library not in libraries:
                raise LinkError(f"{self.name} needs the library {library}")
            for offset in offsets:
                code[offset : offset + 20] = bytes.fromhex(libraries[library][2:])
        return bytes(code)


def read_artifact(name: str, document: Json) -> Artifact:
    """Read the JSON that Hardhat, Foundry, Waffle or solc itself write for a contract."""
    evm = cast(Json, document.get("evm") or {})
    bytecode = document.get("bytecode", evm.get("bytecode", ""))
    links = document.get("linkReferences", {})
    if isinstance(bytecode, dict):
        links = bytecode.get("linkReferences", links)
        bytecode = bytecode.get("object", "")
    references = {
        library: tuple(place["start"] for place in places)
        for libraries in cast(Mapping[str, Mapping[str, Sequence[Mapping[str, int]]]], links).values()
        for library, places in libraries.items()
    }
    plain = _PLACEHOLDER.sub("00" * 20, str(bytecode).removeprefix("0x"))
    return Artifact(name, tuple(cast(Sequence[Json], document["abi"])), bytes.fromhex(plain), references)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one run of solc gets. ``wanted``: contracts by source file; ``settings`` beside what we add ourselves."""

    name: str
    compiler: str
    sources: Mapping[str, str]
    wanted: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, object]

    def standard_json(self) -> Json:
        return {
            "language": "Solidity",
            "sources": {path: {"content": text} for path, text in sorted(self.sources.items())},
            "settings": {
                **self.settings,
                "metadata": {"bytecodeHash": "none"},
                "outputSelection": {
                    path: {contract: ["abi", "evm.bytecode.object", "evm.bytecode.linkReferences"] for contract in names}
                    for path, names in self.wanted.items()
                },
            },
        }


@dataclass(frozen=True, slots=True)
class SourceTree:
    """Finds Solidity files: ``roots`` map the beginning of a source's name to a directory (longest match first)."""

    roots: Mapping[str, Path]
    remappings: Mapping[str, str] = field(default_factory=dict)

    def gather(self, names: Sequence[str]) -> dict[str, str]:
        """The named sources and everything they import, with imports as solc resolves them."""
        sources: dict[str, str] = {}
        queue = list(names)
        while queue:
            name = queue.pop()
            if name in sources:
                continue
            sources[name] = text = self._locate(name).read_text(encoding="utf-8")
            queue.extend(self._remapped(imported, name) for imported in _IMPORT.findall(text))
        return sources

    def _remapped(self, imported: str, importer: str) -> str:
        if imported.startswith("."):
            imported = posixpath.normpath(posixpath.join(posixpath.dirname(importer), imported))
        for prefix, target in self.remappings.items():
            if imported.startswith(prefix):
                return target + imported[len(prefix) :]
        return imported

    def _locate(self, name: str) -> Path:
        for prefix, directory in sorted(self.roots.items(), key=lambda root: -len(root[0])):
            if name.startswith(prefix):
                return directory / name[len(prefix) :]
        raise CompileError(f"no source directory for {name}")

    def solc_remappings(self) -> list[str]:
        return [f"{prefix}={target}" for prefix, target in self.remappings.items()]


@dataclass(slots=True)
class Compiler:
    """Compiles units in Node processes, with the results kept in ``root``."""

    root: Path
    packages: PackageStore
    progress: Progress = silent

    async def compile(self, unit: Unit) -> dict[str, Artifact]:
        return (await self.compile_all([unit]))[0]

    async def compile_all(self, units: Sequence[Unit]) -> list[dict[str, Artifact]]:
        """The artifacts by contract name, for each unit; those that are not cached run in one process a compiler.

        Raises CompileError with solc's own messages.
        """
        inputs = [unit.standard_json() for unit in units]
        places = [self._place(unit, document) for unit, document in zip(units, inputs, strict=True)]
        missing: dict[str, list[int]] = {}
        for index, (unit, place) in enumerate(zip(units, places, strict=True)):
            if not place.is_file():
                missing.setdefault(unit.compiler, []).append(index)

        async def run(compiler: str, indices: list[int]) -> None:
            self.progress("compile", f"{', '.join(units[index].name for index in indices)} with solc {compiler}")
            outputs = await self._solc(compiler, [inputs[index] for index in indices])
            for index, output in zip(indices, outputs, strict=True):
                contracts = _checked(units[index], output)
                scratch = places[index].with_suffix(f".{id(output)}.part")
                scratch.write_bytes(orjson.dumps(contracts))
                scratch.rename(places[index])

        await together(*(run(compiler, indices) for compiler, indices in missing.items()))
        return [{name: read_artifact(name, document) for name, document in orjson.loads(place.read_bytes()).items()} for place in places]

    def _place(self, unit: Unit, document: Json) -> Path:
        digest = hashlib.sha256(unit.compiler.encode() + orjson.dumps(document, option=orjson.OPT_SORT_KEYS))
        directory = self.root / "compiled"
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{unit.name}-{digest.hexdigest()[:16]}.json"

    async def _solc(self, compiler: str, documents: Sequence[Json]) -> list[Json]:
        soljson = await self.packages.directory(f"solc-{compiler}") / "soljson.js"
        process = await asyncio.create_subprocess_exec(
            *(*node_command(), "--stack-size=4000", "-e", _DRIVER, str(soljson)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, said = await process.communicate(orjson.dumps(list(documents)))
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        lines = output.splitlines()
        if process.returncode != 0 or len(lines) != len(documents):
            raise PackageError(f"solc {compiler} ended early: {said.decode(errors='replace')[-500:]}")
        return [orjson.loads(line) for line in lines]


def _checked(unit: Unit, output: Json) -> dict[str, Json]:
    """The wanted contracts' documents by name, or CompileError."""
    errors = [
        str(entry.get("formattedMessage", entry.get("message")))
        for entry in cast(Sequence[Json], output.get("errors", ()))
        if entry.get("severity") == "error"
    ]
    if errors:
        raise CompileError(f"{unit.name}: " + "\n".join(errors[:5]))
    contracts: dict[str, Json] = {}
    for per_file in cast(Mapping[str, Mapping[str, Json]], output.get("contracts", {})).values():
        contracts.update(per_file)
    absent = {one for names in unit.wanted.values() for one in names if one != "*"} - contracts.keys()
    if absent:
        raise CompileError(f"{unit.name}: no contract named {', '.join(sorted(absent))}")
    return contracts
