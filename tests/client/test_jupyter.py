"""In a Jupyter kernel: cells that fail, are interrupted and run again; restart and shutdown."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

jupyter_client = pytest.importorskip("jupyter_client", reason="jupyter_client is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
ReadPoints = Callable[[str], list[tuple[int, dict[str, float]]]]
ReadEvents = Callable[[str], list[dict[str, Any]]]
LIMIT_S = 60


class Kernel:
    """A real ipykernel process."""

    def __init__(self) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, "PYTHONWARNINGS": "ignore"})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=LIMIT_S)

    def cell(self, code: str) -> tuple[str, str]:
        """Run a cell; gives its status and what it printed on stdout."""
        return self.wait_for(self.client.execute(code))

    def wait_for(self, cell: str) -> tuple[str, str]:
        """Wait for the end of a cell that was sent."""
        printed = ""
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT_S)
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            if message["msg_type"] == "stream" and content["name"] == "stdout":
                printed += content["text"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=LIMIT_S)
            if reply["parent_header"].get("msg_id") == cell:
                return reply["content"]["status"], printed

    def close(self, *, now: bool = False) -> None:
        """End the kernel: asked to, as the notebook does, or at once."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)
        self.manager.cleanup_resources()


@pytest.fixture
def kernel(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel of this very Python with a home of its own, and a run that is open in it."""
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(home / "jupyter"))
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    started = Kernel()
    assert started.cell("import deepevent, time\nrun = deepevent.start(capture_output=True)")[0] == "ok"
    yield started
    if started.manager.has_kernel:
        started.close(now=True)


def folder_of(kernel: Kernel) -> str:
    return kernel.cell("print(run.folder)")[1].strip()


def test_a_notebook_logs_from_cell_to_cell(
    kernel: Kernel, read_points: ReadPoints, read_events: ReadEvents
) -> None:
    """A run goes on over cells that fail and that are interrupted; the kernel's end completes it."""
    folder = folder_of(kernel)
    assert kernel.cell("for step in range(100): run.log({'loss': 1.0})")[0] == "ok"
    assert kernel.cell("run.log({'loss': 2.0}); 1 / 0")[0] == "error"
    cell = kernel.client.execute("print('on')\nwhile True: run.log({'more': 1.0}, 5)")
    while kernel.client.get_iopub_msg(timeout=LIMIT_S)["msg_type"] != "stream":
        pass
    kernel.manager.interrupt_kernel()
    assert kernel.wait_for(cell)[0] == "error"
    assert kernel.cell("deepevent.log({'last': 3.0}, step=7); print('printed in a cell')")[1] != ""
    kernel.close()
    points = read_points(folder)
    assert [step for step, values in points if "loss" in values] == list(range(101))
    assert points[-1] == (7, {"last": 3.0})
    events = read_events(folder)
    assert [event["status"] for event in events if event["type"] == "finish"] == ["completed"]
    assert any("printed in a cell" in event["text"] for event in events if event["type"] == "log")


def test_a_killed_kernel_loses_nothing(kernel: Kernel, read_points: ReadPoints) -> None:
    """'Restart kernel' may be a kill: what the cells have logged is on disk."""
    folder = folder_of(kernel)
    assert kernel.cell("for step in range(1000): run.log({'loss': 1.0})")[0] == "ok"
    kernel.close(now=True)
    assert len(read_points(folder)) == 1000
