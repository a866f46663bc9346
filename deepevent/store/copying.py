"""Copies a whole store into an empty one, of the same or of the other database, and proves that it did.

Everything is read in one snapshot and written in one transaction. Then the copy is read again: number of rows
and a checksum over their values must agree, table by table. The checksum adds up the hashes of the rows, so
it does not depend on an order, which two databases need not have in common. Knows no files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from deepevent.errors import StoreError
from deepevent.store import migrate, schema
from deepevent.store.connection import Database

CHUNK_ROWS = 500
GIVEN = ("store", "queue")  # tables in which every fresh store has one row
MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class TableSum:
    """What one table holds.

    Attributes:
        table: its name.
        rows: how many.
        checksum: of all values, in hexadecimal.
    """

    table: str
    rows: int
    checksum: str


def copy_store(
    source: Database, target: Database, on_table: Callable[[TableSum], object] | None = None
) -> list[TableSum]:
    """Copy everything.

    Args:
        source: at the newest revision of its tables.
        target: empty; its tables are made.
        on_table: called for each table that is written.

    Returns: what both hold now.

    Raises:
        StoreError: the target holds something, the source has to be upgraded first, or the copy differs.
    """
    if migrate.current(source) != migrate.HEAD:
        raise StoreError(f"{_name(source)} is not at revision {migrate.HEAD}: run `deepevent migrate` on it")
    migrate.upgrade(target)
    copied: list[TableSum] = []
    with source.read() as reading, target.write() as writing:
        _require_empty(writing, target)
        for table in schema.metadata.sorted_tables:
            if table.name in GIVEN:
                writing.execute(sa.delete(table))
            copied.append(_copy_table(reading, writing, table))
            if on_table is not None:
                on_table(copied[-1])
        if target.path is None:
            _continue_sequences(writing)
    for before, after in zip(copied, sums(target), strict=True):
        if before != after:
            raise StoreError(
                f"the copy of table {before.table} differs: {before.rows} rows {before.checksum[:16]}… "
                f"became {after.rows} rows {after.checksum[:16]}…; do not use {_name(target)}"
            )
    return copied


def sums(db: Database) -> list[TableSum]:
    """Return rows and checksum of every table."""
    with db.read() as connection:
        return [_sum_table(connection, table) for table in schema.metadata.sorted_tables]


def _require_empty(connection: sa.Connection, target: Database) -> None:
    for table in schema.metadata.sorted_tables:
        if table.name in GIVEN:
            continue
        if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None:
            raise StoreError(
                f"{_name(target)} is not empty, its table {table.name} has rows: give an empty store"
            )


def _copy_table(reading: sa.Connection, writing: sa.Connection, table: sa.Table) -> TableSum:
    rows, total = 0, 0
    for chunk in _chunks(reading, table):
        writing.execute(sa.insert(table), [dict(row) for row in chunk])
        rows += len(chunk)
        total += sum(map(_row_hash, chunk))
    return TableSum(table.name, rows, f"{total % MODULUS:064x}")


def _sum_table(connection: sa.Connection, table: sa.Table) -> TableSum:
    rows, total = 0, 0
    for chunk in _chunks(connection, table):
        rows += len(chunk)
        total += sum(map(_row_hash, chunk))
    return TableSum(table.name, rows, f"{total % MODULUS:064x}")


def _chunks(connection: sa.Connection, table: sa.Table) -> Iterator[list[Any]]:
    found = connection.execution_options(yield_per=CHUNK_ROWS).execute(sa.select(table)).mappings()
    for chunk in found.partitions(CHUNK_ROWS):
        yield list(chunk)


def _row_hash(row: Any) -> int:
    """Hash a row's values with their types; NaN stands for NULL in columns of numbers, as in the store."""
    digest = hashlib.sha256()
    for name, value in row.items():
        plain = bytes(value) if isinstance(value, (memoryview, bytearray)) else value
        digest.update(f"{name}={type(plain).__name__}:".encode())
        digest.update(plain if isinstance(plain, bytes) else repr(plain).encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return int.from_bytes(digest.digest(), "big")


def _continue_sequences(connection: sa.Connection) -> None:
    """Let PostgreSQL count on behind the ids that were copied."""
    for table in schema.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = connection.execute(
            sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))
        ).scalar()
        newest = connection.execute(sa.select(sa.func.max(column))).scalar()
        if sequence is not None and newest is not None:
            connection.execute(sa.select(sa.func.setval(sequence, newest)))


def _name(db: Database) -> str:
    return db.url.render_as_string(hide_password=True)
