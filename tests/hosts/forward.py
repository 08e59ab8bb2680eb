"""Hands on connections from one address to another: `python -m tests.hosts.forward FROM TO`.

An address is a port on loopback or the path of a socket, which leads from one network to another.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def main(origin: str, target: str) -> None:
    """Forward until the process ends."""

    async def connect() -> Streams:
        if target.isdecimal():
            return await asyncio.open_connection("127.0.0.1", int(target))
        return await asyncio.open_unix_connection(target)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await connect()
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))

    if origin.isdecimal():
        server = await asyncio.start_server(forward, "127.0.0.1", int(origin))
    else:
        server = await asyncio.start_unix_server(forward, origin)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
