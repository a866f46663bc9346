"""What one token may take of the server, so that a flood from one never starves another.

Threads, memory that waits for its commit, and what is written in the long run: each token has a share of its
own, and who has used his up hears 429 with the time to wait. Scripts keep what they could not send in their
journal, so they lose nothing by it. Knows tokens by their number alone, and nothing of routes.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from deepevent_web.limits import LIMITS, Limits
from deepevent_web.problems import Problem
from deepevent_web.rates import Rates

BURST_S = 4.0
"""How many seconds' worth may come at once."""
BURST_MINUTES = 5
"""The same for what is counted by the minute: a sweep begins many runs in its first seconds."""
LONGEST_WAIT_S = 60.0


class Shares:
    """Counts what each token holds now and has used up lately."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._requests = Rates(limits.requests_per_second * BURST_S, limits.requests_per_second)
        self._bytes = Rates(limits.bytes_per_second * BURST_S, limits.bytes_per_second)
        self._runs = Rates(limits.runs_per_minute * BURST_MINUTES, limits.runs_per_minute / 60)
        self._names = Rates(limits.names_per_minute * BURST_MINUTES, limits.names_per_minute / 60)
        self._at_once: Counter[int] = Counter()
        self._waiting_bytes: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def request(self, token: int, *, adds: bool) -> Iterator[None]:
        """Answer one request; `adds`: it logs something.

        Raises:
            Problem: 429, this token has too many under way, or has sent too many.
        """
        wait_s = self._requests.take(token) if adds else 0.0
        if wait_s > 0:
            raise too_much(f"a token may send {self._limits.requests_per_second} requests a second", wait_s)
        with self._held(self._at_once, token, 1, self._limits.requests_at_once, "requests at once"):
            yield

    @contextmanager
    def batch(self, token: int, size_bytes: int) -> Iterator[None]:
        """Let a batch wait for its commit.

        Raises:
            Problem: 429, this token has too much waiting, or has sent too much.
        """
        wait_s = max(self._bytes.wait_s(token), self._names.wait_s(token))
        if wait_s > 0:
            raise too_much(
                f"a token may log {self._limits.bytes_per_second} bytes a second and "
                f"{self._limits.names_per_minute} new metrics a minute",
                wait_s,
            )
        limit = self._limits.waiting_bytes
        with self._held(self._waiting_bytes, token, size_bytes, limit, "bytes that wait for their commit"):
            self._bytes.charge(token, size_bytes)
            yield

    def run(self, token: int) -> None:
        """Let a run or a writer begin.

        Raises:
            Problem: 429, this token has begun too many.
        """
        wait_s = self._runs.take(token)
        if wait_s > 0:
            raise too_much(f"a token may begin {self._limits.runs_per_minute} runs a minute", wait_s)

    def names(self, token: int, n: int) -> None:
        """Count metrics that were new."""
        if n:
            self._names.charge(token, n)

    @contextmanager
    def _held(self, held: Counter[int], token: int, n: int, limit: int, what: str) -> Iterator[None]:
        with self._lock:
            if held[token] and held[token] + n > limit:
                raise too_much(f"a token may have {limit} {what}", 1.0)
            held[token] += n
        try:
            yield
        finally:
            with self._lock:
                held[token] -= n
                if held[token] <= 0:
                    del held[token]


def too_much(detail: str, wait_s: float) -> Problem:
    """The answer to who has used up his share."""
    seconds = str(math.ceil(min(max(wait_s, 1.0), LONGEST_WAIT_S)))
    return Problem(429, f"{detail}; send this again after {seconds} s", headers={"Retry-After": seconds})
