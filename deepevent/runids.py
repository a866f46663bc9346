"""Which run a process means: by id, by name, or because its sibling ranks mean the same one.

A name is mapped to an id by a small file in the home, made by one atomic link, so that the calls of a shell
script agree on one run without any server, and even when they run at the same time.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH103, PTH108, PTH118, PTH123

from __future__ import annotations

import os
import zlib

from deepevent.ids import new_id, ulid_of
from deepevent.wire import is_ulid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES_FOLDER = "names"
_n_shared = 0


def find_run_id(home: str, project: str, name_or_id: str) -> tuple[str, bool]:
    """Return the id of the run that is called this in this home, making one if there is none.

    Returns:
        The id, and whether the run is a new one.
    """
    if is_ulid(name_or_id.lower()):
        return name_or_id.lower(), False
    path = _name_file(home, project, name_or_id)
    found = _read(path)
    if found:
        return found, False
    made = new_id()
    temporary = f"{path}.{made}"
    try:
        os.makedirs(os.path.join(home, NAMES_FOLDER), mode=0o700, exist_ok=True)
        with open(temporary, "w", encoding="ascii") as file:
            file.write(made)
    except OSError:  # a home that cannot be written: the same id for the same name, without any file
        return id_from_text(f"{project}\n{name_or_id}"), False
    try:
        os.link(temporary, path)
    except FileExistsError:
        return _read(path) or made, False
    finally:
        os.unlink(temporary)
    return made, True


def forget_name(home: str, project: str, name: str) -> None:
    """Let the next run of this name be a new one."""
    if not is_ulid(name.lower()):
        try:
            os.unlink(_name_file(home, project, name))
        except OSError:
            return


def shared_run_id(environment: Mapping[str, str]) -> str | None:
    """Return the same new id in all ranks that one launcher on this machine has started; None without one.

    The launcher's process and its start say which ranks belong together, and no collective is needed. Ranks
    on several machines are told by DEEPEVENT_RUN.
    """
    global _n_shared  # noqa: PLW0603 - counts the calls of this process
    world = environment.get("WORLD_SIZE", "1")
    if world == "1" or "RANK" not in environment or environment.get("LOCAL_WORLD_SIZE", world) != world:
        return None
    try:
        with open(f"/proc/{os.getppid()}/stat", encoding="utf-8", errors="replace") as file:
            started_ticks = int(file.read().rpartition(")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as file:
            booted_s = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    _n_shared += 1
    started_ms = booted_s * 1000 + started_ticks * 1000 // os.sysconf("SC_CLK_TCK")
    names = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT")
    told = "\n".join(environment.get(name, "") for name in names)
    text = f"{os.uname().nodename}\n{os.getppid()}\n{started_ticks}\n{_n_shared}\n{told}"
    return id_from_text(text, started_ms)


def id_from_text(text: str, time_ms: int = 0) -> str:
    """Return the id that everybody makes of this text, with this time in it."""
    from hashlib import sha256

    chance = int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:10], "big")
    return ulid_of((time_ms & (1 << 48) - 1) << 80 | chance)


def _name_file(home: str, project: str, name: str) -> str:
    """A file name that any name can have, and that a person still recognises."""
    text = f"{project}/{name}"
    readable = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in text)[:100]
    raw = text.encode("utf-8", "surrogatepass")
    return os.path.join(home, NAMES_FOLDER, f"{readable}-{zlib.crc32(raw):08x}{zlib.adler32(raw):08x}")


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(64).strip()
    except (OSError, ValueError):
        return ""
    return text if is_ulid(text) else ""
