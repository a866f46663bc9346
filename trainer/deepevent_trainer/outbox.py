"""The agent's folder: who it was last time, and the ends of jobs that the server has not heard of yet.

An end is on disk before it is sent, and goes away when the server has taken it or says that another attempt
has the job. So no result is lost to a server or an agent that was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

from deepevent.errors import ServerRefused, SettingsError
from deepevent.serverapi import ServerApi
from deepevent_trainer.engines import Outcome

MAX_AGENTS = 100


def open_folder(home: str, name: str) -> Path:
    """Take a folder below the home for this agent alone, locked for the life of the process.

    A second agent of the same name gets the next folder.

    Raises:
        SettingsError: none can be made.
    """
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "agent"
    for number in range(1, MAX_AGENTS + 1):
        folder = Path(home) / "agents" / (plain if number == 1 else f"{plain}-{number}")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        except OSError as error:
            raise SettingsError(
                f"the agent's folder {str(folder)!r} cannot be used: {error.strerror}"
            ) from error
        return folder
    raise SettingsError(f"{MAX_AGENTS} agents of the name {name!r} run here already")


class Outbox:
    """See the module's description."""

    def __init__(self, folder: Path) -> None:
        self._letters = folder / "outbox"
        self._letters.mkdir(mode=0o700, exist_ok=True)
        self._identity = folder / "agent.json"
        self._lock = threading.Lock()

    def previous(self) -> dict[str, str]:
        """Give the id that the agent of this folder had last, as a field of its registration."""
        try:
            return {"previous": str(json.loads(self._identity.read_text())["id"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def remember(self, agent_id: str) -> None:
        """Note the agent's id for its next start."""
        _write(self._identity, {"id": agent_id})

    def put(self, job: int, holder: dict[str, Any], outcome: Outcome) -> None:
        """Note how an attempt ended."""
        letter = {
            "job": job,
            "body": {
                **holder,
                "state": outcome.state,
                "exit_code": outcome.exit_code,
                "reason": outcome.reason[:2_000],
            },
        }
        _write(self._letters / f"{job}-{holder['fence']}.json", letter)

    def send(self, api: ServerApi) -> None:
        """Tell the server all that it has not heard.

        Raises:
            ServerUnreachable, ServerRefused: it cannot be told now; everything is still here.
        """
        with self._lock:
            for path in sorted(self._letters.glob("*.json")):
                letter = json.loads(path.read_text())
                try:
                    api.call("POST", f"/jobs/{letter['job']}/finish", letter["body"])
                except ServerRefused as error:
                    if error.status not in (404, 409):
                        raise
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".part")
    with partial.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
