"""The server's side of the home folder: its lock, and the file by which scripts on this machine find it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from deepevent.errors import SettingsError
from deepevent.settings import Settings

SERVER_FILE = "server.json"
LOCK_FILE = "server.lock"


def home_folder() -> Path:
    """The home that the settings name."""
    return Path(Settings().home)


def store_url(home: Path) -> str:
    """The database in the home."""
    return f"sqlite:///{home / 'deepevent.db'}"


def check_blobs(url: str | None) -> None:
    """Try the object store that `--blobs` names, in a process of its own: its threads survive no fork.

    Raises:
        SettingsError: it cannot be used.
    """
    if url is None or "://" not in url or url.startswith("file:"):
        return
    tried = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "deepevent.store.objects", url], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        said = (tried.stderr.strip().splitlines() or [f"trying it ended with {tried.returncode}"])[-1]
        raise SettingsError(f"--blobs {url}: {said}")


def make_home(home: Path) -> None:
    """Make the home folder, for its owner alone.

    Raises:
        SettingsError: it cannot be made or written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid == os.geteuid():
            home.chmod(0o700)
    except OSError as error:
        raise SettingsError(f"the home {str(home)!r} cannot be used: {error.strerror}") from error
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError(f"the home {str(home)!r} cannot be written; set DEEPEVENT_HOME to another folder")


def take_lock(home: Path) -> int:
    """Hold the home for this server, until the process ends.

    Returns:
        The lock's file descriptor.

    Raises:
        SettingsError: another server holds it.
    """
    descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise SettingsError(
            f"a server with the home {str(home)!r} is running{_where(home)}; stop it first, "
            "or give this one another home with DEEPEVENT_HOME"
        ) from None
    return descriptor


def _where(home: Path) -> str:
    try:
        known = json.loads((home / SERVER_FILE).read_text())
        return f" at {known['url']} (process {known['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def write_server_file(home: Path, url: str, token: str, certificate: Path | None = None) -> None:
    """Tell scripts of this user where the server is and how to get in; whole or not at all, mode 0600.

    Over TLS they are told its certificate too: they know the server by it, whatever name it was made for.
    """
    known: dict[str, object] = {"url": url, "token": token, "pid": os.getpid()}
    if certificate is not None:
        known["certificate"] = str(certificate.resolve())
    temporary = home / f".{SERVER_FILE}.{os.getpid()}"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(descriptor, "w") as file:
        json.dump(known, file)
    temporary.replace(home / SERVER_FILE)


def remove_server_file(home: Path) -> None:
    """Say that the server is gone, unless another has written the file since."""
    path = home / SERVER_FILE
    try:
        if json.loads(path.read_text()).get("pid") == os.getpid():
            path.unlink()
    except (OSError, ValueError):
        return
