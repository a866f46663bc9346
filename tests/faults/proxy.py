"""A TCP proxy that misbehaves: what a network does, between the real client and the real server.

It knows bytes and connections and nothing of HTTP. One asyncio loop in a thread of its own; a `Weather` says
how it behaves and may be changed at any time, also under an open connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import struct
import threading

CHUNK = 16 * 1024


@dataclasses.dataclass
class Weather:
    """How the network behaves.

    Attributes:
        delay_s: each chunk is held back this long, in both directions.
        bytes_per_s: the client's upload is slowed to this; None: as fast as it goes.
        cut_request_after: close a connection once the client has sent this many bytes.
        cut_reply_after: pass the whole request on and close once this many bytes of the reply have come (0:
            the server has done its work, and the client never hears of it).
        reset: close with RST instead of FIN.
        silent: accept and read, and never pass anything on nor answer.
        down: refuse: the listening socket stays, every connection is closed at once.
    """

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    cut_request_after: int | None = None
    cut_reply_after: int | None = None
    reset: bool = False
    silent: bool = False
    down: bool = False


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes on to `target_port`."""

    def __init__(self, target_port: int) -> None:
        self.weather = Weather()
        self.n_connections = 0
        self.n_cut = 0
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop
        ).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Close everything and end the thread."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def drop_connections(self) -> None:
        """Cut every open connection now, as the weather says (RST or FIN)."""

        async def drop() -> None:
            for writer in list(self._open):
                self._cut(writer)

        asyncio.run_coroutine_threadsafe(drop(), self._loop).result(10)

    async def _shut(self) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.n_connections += 1
        self._open.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self.weather.down:
                self._cut(writer)
                return
            if self.weather.silent:
                while self.weather.silent and await reader.read(CHUNK):
                    pass
                self._cut(writer)
                return
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._target_port)
            self._open.add(upstream)
            await asyncio.gather(
                self._pump(reader, upstream, writer, upload=True),
                self._pump(answers, writer, writer, upload=False),
            )
        except ConnectionAbortedError:
            pass  # by our own hand
        except OSError:
            self._cut(writer)
        finally:
            for one in (writer, upstream):
                if one is not None:
                    self._open.discard(one)
                    one.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        *,
        upload: bool,
    ) -> None:
        passed = 0
        while True:
            data = await source.read(CHUNK)
            weather = self.weather
            if not data:
                with contextlib.suppress(OSError):
                    sink.write_eof()
                return
            if weather.delay_s:
                await asyncio.sleep(weather.delay_s)
            if upload and weather.bytes_per_s:
                await asyncio.sleep(len(data) / weather.bytes_per_s)
            limit = weather.cut_request_after if upload else weather.cut_reply_after
            if limit is not None and passed + len(data) > limit:
                sink.write(data[: max(0, limit - passed)])
                with contextlib.suppress(OSError):
                    await sink.drain()
                self._cut(client)
                raise ConnectionAbortedError
            passed += len(data)
            sink.write(data)
            await sink.drain()

    def _cut(self, writer: asyncio.StreamWriter) -> None:
        self.n_cut += 1
        if self.weather.reset:
            raw: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            writer.transport.close() if not self.weather.reset else writer.transport.abort()
