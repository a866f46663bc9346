"""Which store a command means, and whether a server is using it. The store's packages are imported only here.

A place is an address (`sqlite:///FILE`, `postgresql+psycopg://USER@HOST/NAME`) or a home folder.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from deepevent.errors import DeepEventError, StoreError
from deepevent.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    from deepevent.store.connection import Database

    P = ParamSpec("P")
    T = TypeVar("T")

DATABASE_FILE = "deepevent.db"
SERVER_LOCK = "server.lock"
EXTRA = "server"


def store_address(place: str | None) -> str:
    """Return the address of a store; without a place, the one of the home."""
    if place is not None and "://" in place:
        return place
    folder = Path(Settings().home if place is None else place).expanduser().absolute()
    return f"sqlite:///{folder / DATABASE_FILE}"


def open_store(address: str, *, must_exist: bool = True) -> Database:
    """Open a store.

    Raises:
        StoreError: it does not exist, or the packages that it needs are missing.
    """
    try:
        from deepevent.store import connection
    except ModuleNotFoundError as error:
        raise _not_installed(error, EXTRA) from error
    file = address.removeprefix("sqlite:///") if address.startswith("sqlite:///") else None
    if must_exist and file is not None and not Path(file).is_file():
        raise StoreError(f"there is no store at {file}: give its address, or set DEEPEVENT_HOME")
    try:
        return connection.open_database(address)
    except ModuleNotFoundError as error:
        raise _not_installed(error, "postgres") from error


def home_of(address: str) -> Path | None:
    """Return the home that a SQLite store lies in; None for a store elsewhere."""
    path = Path(address.removeprefix("sqlite:///"))
    return path.parent if address.startswith("sqlite:///") and path.name == DATABASE_FILE else None


def require_no_server(home: Path, doing: str) -> int:
    """Hold the home so that no server starts; returns the lock's descriptor.

    Raises:
        StoreError: a server runs.
    """
    descriptor = os.open(home / SERVER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreError(f"a server runs on {str(home)!r}: stop it before you {doing}") from None
    return descriptor


def plain_errors(action: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call a function of the store; what the database says against it becomes one sentence."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return action(*arguments, **options)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"the database refuses: {str(cause).strip()}") from error


def _not_installed(error: ModuleNotFoundError, extra: str) -> DeepEventError:
    return StoreError(f"{error.name} is not installed: pip install 'deepevent-monitor[{extra}]'")
