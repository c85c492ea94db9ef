"""A real PostgreSQL on a free port for the length of a test run, where its programs are installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ABSENT = "no PostgreSQL is installed here (pg_ctl is neither on the path nor in /usr/lib/postgresql)"


def binaries() -> Path | None:
    """The folder of initdb and pg_ctl; None where there is none."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("pg_ctl")
    return Path(found).resolve().parent if found and shutil.which("initdb") else None


@dataclass(slots=True)
class Postgres:
    """A server of its own, which refuses to run as root: then it runs as the user that its package made."""

    programs: Path
    folder: Path
    port: int

    @classmethod
    def start(cls, programs: Path) -> Postgres:
        folder = Path(tempfile.mkdtemp(prefix="crossmargin-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        made = cls(programs, folder, port)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        made._run("initdb", "--auth=trust", "--username=crossmargin", "--encoding=UTF8", "--locale=C", f"--pgdata={folder / 'data'}")
        made.resume()
        made._run("createdb", "--host=127.0.0.1", f"--port={port}", "--username=crossmargin", "crossmargin")
        return made

    @property
    def url(self) -> str:
        return f"postgresql://crossmargin@127.0.0.1:{self.port}/crossmargin"

    def resume(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", f"--pgdata={self.folder / 'data'}", f"--log={self.folder / 'log'}", "--wait", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", f"--pgdata={self.folder / 'data'}", "--wait", f"--mode={mode}", "stop")

    def end(self) -> None:
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.programs / program), *words]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # not pipes: the server would keep them open
        with (self.folder.parent / f"{self.folder.name}-{program}.txt").open("w+") as out:
            code = subprocess.run(command, stdout=out, stderr=out, cwd="/", timeout=60, check=False).returncode
            out.seek(0)
            said = out.read()
        Path(out.name).unlink()
        if code:
            raise RuntimeError(f"{program} failed: {said[-500:]}")
