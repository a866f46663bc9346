"""A question that would take for ever is cut off, and the connection answers the next one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from deepevent.errors import StoreBusy
from deepevent.store.connection import read_limit_s

ENDLESS = sa.text(
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT max(n) FROM numbers"
)


def test_a_question_ends_at_its_limit(db):
    """Beyond the limit the reader hears StoreBusy with what to do; without one nothing is cut."""
    limit = read_limit_s.set(0.05)
    try:
        for _ in range(2):
            with pytest.raises(StoreBusy, match="ask for less"), db.read() as connection:
                connection.execute(ENDLESS).scalar()
        with db.read() as connection:
            assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    finally:
        read_limit_s.reset(limit)
    assert db.revision() >= 0
