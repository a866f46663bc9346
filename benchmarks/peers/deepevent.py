"""DeepEvent itself, by its public interface: the client, `deepevent serve` and the HTTP API."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import worker


@contextlib.contextmanager
def receiving(folder: Path) -> Iterator[None]:
    """Have a server of our own take what is logged; the client finds it by its home."""
    with worker.serving(sys.modules[__name__], folder):
        yield


class Run:
    """A run of the public client."""

    def __init__(self, folder: Path, name: str) -> None:
        os.environ["DEEPEVENT_HOME"] = str(folder / "home")
        os.environ.pop("DEEPEVENT_URL", None)
        import deepevent

        self._run = deepevent.start(name=name, project="bench")
        self.log = self._log
        self.id = self._run.id

    def _log(self, scalars: dict[str, float], step: int) -> None:
        self._run.log(scalars, step=step)

    def close(self) -> None:
        """Wait until the server has acknowledged everything."""
        self._run.flush(timeout=300)
        self._run.finish()


def open_run(folder: Path, name: str) -> Run:
    """Start a run."""
    return Run(folder, name)


def write_run(folder: Path, name: str, steps: list[dict[str, float]]) -> str:
    """Write a whole run into the spool; the server takes it in when it starts."""
    run = Run(folder, name)
    for step, scalars in enumerate(steps):
        run.log(scalars, step)
    run._run.finish()
    return str(run.id)


def server(folder: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return its command."""
    command = [str(Path(sys.executable).parent / "deepevent"), "serve", "--port", str(port)]
    return command, {"DEEPEVENT_HOME": str(folder / "home")}, "/healthz"


def settle(folder: Path) -> None:
    """Compact what was written, as the server does within minutes by itself."""
    from deepevent.store import compaction, connection

    database = connection.open_database(f"sqlite:///{folder / 'home' / 'deepevent.db'}")
    compaction.compact(database)
    database.close()


def read_curve(url: str, run: str, metric: str) -> list[float]:
    """Fetch one curve at 1,000 pixels as the page does: columns as typed arrays."""
    return _columns(url, [run], [metric], pixels=1000)[0]


def compare(url: str, runs: list[str], metrics: list[str]) -> int:
    """Fetch all metrics of all runs in one request."""
    return sum(len(column) for column in _columns(url, runs, metrics, pixels=None))


def _columns(url: str, runs: list[str], metrics: list[str], pixels: int | None) -> list[tuple[float, ...]]:
    """Return the values of each curve; the answer's layout is in docs/api.md."""
    body: dict[str, Any] = {"queries": [{"run": run, "metric": metric} for run in runs for metric in metrics]}
    if pixels:
        body["pixels"] = pixels
    headers = {"Authorization": f"Bearer {_token()}", "Accept": "application/octet-stream"}
    content = worker.request(f"{url}/api/v1/curves", body | {"x": "step"}, headers)
    (size,) = struct.unpack_from("<I", content)
    answer = json.loads(content[4 : 4 + size])
    offset = (4 + size + 7) // 8 * 8
    values = []
    for curve in answer["curves"]:
        for column in curve["columns"]:
            if column == "value":
                values.append(struct.unpack_from(f"<{curve['length']}d", content, offset))
            offset += 8 * curve["length"]
    return values


def _token() -> str:
    home = Path(json.loads(sys.argv[3])["folder"]) / "home"
    token: str = json.loads((home / "server.json").read_text())["token"]
    return token
