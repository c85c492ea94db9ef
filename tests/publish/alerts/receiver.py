"""A receiver of webhooks on this machine that can be slow, broken or hostile, and a mail server that keeps what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Delivery:
    key: str
    signature: str
    body: bytes


@dataclass(slots=True)
class Receiver:
    """`answers` are given in turn, the last one for ever."""

    url: str
    port: int
    answers: list[Answer]
    got: list[Delivery] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def keys(self) -> list[str]:
        return [one.key for one in self.got]

    @property
    def told(self) -> list[Delivery]:
        """Each message once, in the order of its first coming: what a receiver keeps that drops repetitions."""
        return list({one.key: one for one in reversed(self.got)}.values())[::-1]

    async def until_told(self, count: int, seconds: float = 20.0) -> None:
        """Wait for so many different messages."""
        async with asyncio.timeout(seconds):
            while len(self.told) < count:
                self.arrived.clear()
                await self.arrived.wait()

    async def until(self, count: int, seconds: float = 20.0) -> None:
        """Wait for so many deliveries."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append(Delivery(request.headers["Crossmargin-Delivery"], request.headers["Crossmargin-Signature"], body))
        self.arrived.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)


def status(code: int, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def slow(seconds: float) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response()

    return answer


def endless(chunks: list[int]) -> Answer:
    """An answer that never ends; notes how many chunks were taken from it."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
                chunks.append(65_536)
        except (ConnectionError, asyncio.CancelledError):
            return response

    return answer


@asynccontextmanager
async def receiver(*answers: Answer) -> AsyncIterator[Receiver]:
    made = Receiver("", 0, list(answers) or [status(200)])
    application = web.Application()
    application.router.add_post("/hook/{secret}", made.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    made.url = f"http://127.0.0.1:{made.port}/hook/token-in-the-path"
    try:
        yield made
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class MailServer:
    port: int = 0
    mails: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As much of SMTP as it takes to be handed a mail."""
        writer.write(b"220 here\r\n")
        for answer in self._answers():
            line = (await reader.readline()).strip().upper()
            if not line or line == b"QUIT":
                break
            if line == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            writer.write(
                b"235 in\r\n" if line.startswith(b"AUTH") else b"250-here\r\n250 AUTH PLAIN\r\n" if line.startswith(b"EHLO") else answer
            )
        writer.close()

    def _answers(self) -> Iterator[bytes]:
        while True:
            yield b"250 well\r\n"


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    made = MailServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
