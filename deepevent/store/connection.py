"""Opens databases: the only place that does.

A `Database` has readers, each of which sees one snapshot, and one writer at a time. Every write
transaction that changes something a reader may see takes the next number of one counter, the
revision; since writers are serialised (SQLite's write lock, an advisory lock in PostgreSQL),
numbers become visible in order. Knows nothing of what the tables hold, beyond that counter.

A failed COMMIT is unknown, not failed (a disk error may be reported for pages that reached the
disk), so the connection is thrown away and the caller has to look at what is there.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from deepevent.errors import SettingsError, StoreBusy, StoreError
from deepevent.store import schema
from deepevent.store.commits import Commits

BUSY_TIMEOUT_S = 5.0
RETRY_AFTER_S = 1.0
READERS = 8
READERS_OVERFLOW = 56  # beyond READERS, short-lived: the server's threads never queue for a reader
SHARED_READERS = 4  # the same for PostgreSQL, whose connections (100 by default) all servers share
SHARED_READERS_OVERFLOW = 12
WRITE_LOCK = 0x44454556  # "DEEV": the key of the advisory lock, one per PostgreSQL database
KEEPALIVES = (
    "SET tcp_keepalives_idle = 10",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
"""What each session says, so that PostgreSQL lets go of the locks of a server whose machine is gone."""
STALLED_WRITER = "SET idle_in_transaction_session_timeout = '60s'"
"""The same for a server that stands still in the middle of a transaction."""
_REVISION = "deepevent_revision"
STEPS_BETWEEN_LOOKS = 20_000  # of SQLite's machine: some hundred looks at the clock a second

read_limit_s: ContextVar[float | None] = ContextVar("read_limit_s", default=None)
"""How long a read transaction of this thread may take; None: as long as it needs."""


class Database:
    """One store, open. Safe to share between threads, not to carry over a fork.

    Attributes:
        url: where it is.
        path: the file, for SQLite.
        commits: wakes whoever waits for a newer revision.
    """

    def __init__(self, url: sa.URL, reader: sa.Engine, writer: sa.Engine) -> None:
        self.url = url
        self.path = Path(url.database) if writer.dialect.name == "sqlite" and url.database else None
        self._reader = reader
        self._writer = writer
        self.commits = Commits(self.revision, listen_url=None if self.path else url)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writer.dialect.name

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a read transaction: everything in it sees the same snapshot.

        Raises:
            StoreBusy: no connection, or it took longer than `read_limit_s`.
        """
        try:
            connection = self._reader.connect()
        except (OperationalError, PoolTimeout) as error:
            raise _busy("open a connection to the store", error) from error
        with connection, connection.begin(), _within(connection, read_limit_s.get()):
            try:
                yield connection
            except DBAPIError as error:
                if _was_cut(error):
                    message = "the answer took longer than is allowed; ask for less, or with a closer filter"
                    raise StoreBusy(message, RETRY_AFTER_S) from error
                if not error.connection_invalidated:
                    raise
                raise _busy("be read", error) from error

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a write transaction, alone among all writers; commit at the end of the block.

        Raises:
            StoreBusy: another writer held the lock too long, the disk is full, or the commit could
                not be confirmed. In the last case the change may yet be there.
        """
        try:
            connection = self._writer.connect()
        except (OperationalError, PoolTimeout) as error:
            raise _busy("open a connection for writing", error) from error
        with connection:
            connection.info.pop(_REVISION, None)
            try:
                transaction = connection.begin()
            except (OperationalError, InterfaceError) as error:
                connection.invalidate()
                raise _busy("take the write lock", error) from error
            try:
                yield connection
                revision: int | None = connection.info.pop(_REVISION, None)
                if revision is not None and self.path is None:
                    connection.execute(sa.select(sa.func.pg_notify(Commits.CHANNEL, str(revision))))
                transaction.commit()
            except (OperationalError, InterfaceError) as error:
                connection.invalidate(error)
                raise _busy("commit", error) from error
            except BaseException:
                transaction.rollback()
                raise
        if revision is not None:
            self.commits.publish(revision)

    def revision(self) -> int:
        """Return the newest revision that is committed."""
        with self.read() as connection:
            return read_revision(connection)

    def reclaim(self, pages: int) -> bool:
        """Give back to the file system what deleted rows took, that many pages; PostgreSQL does so by itself.

        Returns:
            Whether nothing more can be given back.

        Raises:
            StoreBusy: another writer held the lock too long.
        """
        if self.path is None:
            return True
        try:
            with closing(self._writer.raw_connection()) as connection:
                # Each step of this statement frees one page, and of the driver's calls only a script is
                # stepped to its end.
                driver: Any = connection.driver_connection
                before = driver.execute("PRAGMA freelist_count").fetchone()[0]
                driver.executescript(f"PRAGMA incremental_vacuum({pages:d})")
                left = driver.execute("PRAGMA freelist_count").fetchone()[0]
                return bool(left == 0 or left >= before)  # a file of another making gives nothing back
        except (sqlite3.OperationalError, OperationalError, PoolTimeout) as error:
            raise _busy("give deleted rows back to the disk", error) from error

    def close(self) -> None:
        """Close all connections."""
        self.commits.close()
        self._reader.dispose()
        self._writer.dispose()


@contextmanager
def _within(connection: sa.Connection, limit_s: float | None) -> Iterator[None]:
    """Let the database cut off what takes longer than `limit_s`."""
    if limit_s is None:
        yield
        return
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {max(1, int(limit_s * 1000))}"))
        yield
        return
    raw: Any = connection.connection.dbapi_connection
    until = time.monotonic() + limit_s
    raw.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


def _was_cut(error: DBAPIError) -> bool:
    """Whether the database ended a statement because its time was over."""
    code = getattr(error.orig, "sqlite_errorcode", None) or getattr(error.orig, "sqlstate", None)
    return code in (sqlite3.SQLITE_INTERRUPT, "57014")


def read_revision(connection: sa.Connection) -> int:
    """Return the newest revision in this transaction's snapshot."""
    return int(connection.execute(sa.select(schema.store.c.revision)).scalar_one())


def next_revision(connection: sa.Connection) -> int:
    """Take the revision of this write transaction: the next number, the same for the whole of it."""
    taken: int | None = connection.info.get(_REVISION)
    if taken is None:
        connection.execute(sa.update(schema.store).values(revision=schema.store.c.revision + 1))
        taken = read_revision(connection)
        connection.info[_REVISION] = taken
    return taken


def open_database(url: str) -> Database:
    """Open the store at `url`; a SQLite file that is missing is made, empty, with mode 0600.

    Upgrades nothing: that is `migrate.upgrade`'s part.

    Raises:
        SettingsError: the address cannot be used.
    """
    try:
        parsed = sa.make_url(url)
    except ArgumentError as error:
        raise SettingsError(
            f"store must be sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME, got {url!r}"
        ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        return _open_sqlite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        return _open_postgresql(parsed)
    raise SettingsError(
        f"store must be sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME, got {parsed.drivername!r}"
    )


def _open_sqlite(url: sa.URL) -> Database:
    if not url.database or url.database == ":memory:":
        raise SettingsError(
            "store must be a file: a SQLite database in memory cannot be shared by connections"
        )
    path = Path(url.database)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"cannot open the store {str(path)!r}: {error.strerror}") from error
    arguments = {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    writer = sa.create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_S,
        connect_args=arguments,
    )
    reader = sa.create_engine(
        url, poolclass=QueuePool, pool_size=READERS, max_overflow=READERS_OVERFLOW, connect_args=arguments
    )
    # BEGIN IMMEDIATE: a writer must never find out late, with half its work done, that it has to wait.
    for engine, begin, pragmas in (
        (writer, "BEGIN IMMEDIATE", _WRITER_PRAGMAS),
        (reader, "BEGIN", _READER_PRAGMAS),
    ):
        event.listen(engine, "connect", _prepare(pragmas))
        event.listen(engine, "begin", _begin(begin))
    return Database(url, reader, writer)


_READER_PRAGMAS = ("query_only = 1", "mmap_size = 0", "cache_size = -8000")
# auto_vacuum acts only on a file without tables; the file's mode, WAL, is kept in the file.
_WRITER_PRAGMAS = (
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = 1",
    "mmap_size = 0",
    "journal_size_limit = 67108864",
)


def _prepare(pragmas: tuple[str, ...]) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    return prepare


def _begin(statement: str) -> Callable[[sa.Connection], None]:
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(statement)

    return begin


def _open_postgresql(url: sa.URL) -> Database:
    writer = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=BUSY_TIMEOUT_S)
    reader = sa.create_engine(
        url,
        pool_size=SHARED_READERS,
        max_overflow=SHARED_READERS_OVERFLOW,
        pool_timeout=BUSY_TIMEOUT_S,
        pool_pre_ping=True,  # a database that was started again costs no request
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )
    event.listen(reader, "connect", _say(KEEPALIVES))
    event.listen(writer, "connect", _say((*KEEPALIVES, STALLED_WRITER)))

    def lock(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_TIMEOUT_S:.0f}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")

    event.listen(writer, "begin", lock)
    return Database(url, reader, writer)


def _say(statements: tuple[str, ...]) -> Callable[[Any, object], None]:
    def say(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()

    return say


def _busy(doing: str, error: Exception) -> StoreBusy:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return StoreBusy(f"the store could not {doing}: {str(cause).strip()}; try again", RETRY_AFTER_S)
