"""The server that a page runs in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette


def serve(page: Starlette, listening: socket.socket, begun: Callable[[], None]) -> None:
    """Serve a page until Ctrl-C.

    Args:
        page: the application.
        listening: the socket that it is asked at.
        begun: called when the first question can be answered.
    """
    config = uvicorn.Config(page, log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not (server.started or serving.done()):
            await asyncio.sleep(0.01)
        if server.started:
            begun()
        await serving

    with suppress(KeyboardInterrupt):
        asyncio.run(run())
