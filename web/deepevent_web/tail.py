"""Follows the store's commits and tells the browsers: one thread per server process.

It reads committed rows only, so no browser ever sees a point that could vanish. It never waits for a
browser: whose socket is still busy is passed over, and gets more at once when there is room. Order of
events and the rule of no gap and no double: docs/api.md. Knows watchers and the store, and nothing of
Socket.IO.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from deepevent.errors import RunNotFound
from deepevent.store import agents, changes, curves, jobs, runs, sweeps
from deepevent_web.serialise import plain
from deepevent_web.watchers import MAX_PENDING, SeriesKey, Watch, Watcher

if TYPE_CHECKING:
    from deepevent.store.connection import Database

TICK_S = 0.05
"""At most twenty messages a second and browser."""
IDLE_S = 1.0
CHECK_EVERY_S = 2.0
BLOCKED_LIMIT_S = 30.0
MAX_WAITING = 3
"""A browser with more messages than this in its queue is passed over."""
POINTS_PER_SERIES = 4096
"""Beyond this many new points the browser fetches the curve, thinned, instead."""
POINTS_PER_MESSAGE = 32_768
SERIES_PER_MESSAGE = 500
UNKNOWN_SERIES_POINTS = 64
"""Sent of a series whose earlier length is not known; the browser drops what it has."""
RUN_EVERY_S = 0.5
"""A run's row is sent at most this often, unless its status changes."""
SERIES_REMEMBERED = 200_000
_RUN_DETAILS = ("config", "environment", "writers")

_log = logging.getLogger(__name__)


class Tail:
    """See the module's description."""

    def __init__(self, db: Database, valid: Callable[[tuple[str, bool]], bool]) -> None:
        self._db = db
        self._valid = valid
        self._lock = threading.Lock()
        self._tick = threading.Lock()
        self._watchers: dict[str, Watcher] = {}
        self._lengths: dict[SeriesKey, int] = {}
        self._runs_sent: dict[str, tuple[float, str]] = {}
        self._stop = threading.Event()
        self._revision = db.revision()
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self.n_ticks = 0
        self.n_failures = 0
        self.n_too_slow = 0

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def stop(self) -> None:
        """Send what was committed until now, stop following, and hang up on everybody."""
        self._stop.set()
        with self._tick:
            self._take_in(self._db.revision())
            self._send_all()
        for watcher in self._all():
            watcher.outlet.close("stopping")

    def add(self, watcher: Watcher) -> None:
        """A browser connected."""
        with self._lock:
            self._watchers[watcher.sid] = watcher

    def remove(self, sid: str) -> None:
        """A browser left."""
        with self._lock:
            self._watchers.pop(sid, None)

    @property
    def revision(self) -> int:
        """Up to where the browsers have been told."""
        return self._revision

    @property
    def n_watchers(self) -> int:
        """Browsers that are connected."""
        return len(self._all())

    def get(self, sid: str) -> Watcher | None:
        """The browser with this Socket.IO id."""
        with self._lock:
            return self._watchers.get(sid)

    def watch(self, watcher: Watcher, watch: Watch) -> dict[str, Any]:
        """Replace what a browser watches; deltas start where the series are now.

        Returns:
            What `watch` acknowledges: the revision, and what changed since `watch.after`.
        """
        with self._lock:
            watcher.watch = watch
            watcher.pending.clear()
            watcher.told.clear()
            watcher.media.clear()
            watcher.logs.clear()
        revision = self._db.revision()
        lengths: dict[SeriesKey, int] = {}
        for run in watch.runs:
            try:
                for metric in runs.list_metrics(self._db, run):
                    if watch.wants(run, metric["name"]):
                        lengths[(run, metric["name"], metric["rank"])] = metric["n"]
            except RunNotFound:
                continue
        with self._lock:
            if watcher.watch is watch:
                for key, length in lengths.items():
                    watcher.told[key] = min(length, watcher.told.get(key, length))
        return {"revision": revision, "changed": self._changed(watch, revision, lengths)}

    def _changed(self, watch: Watch, revision: int, lengths: dict[SeriesKey, int]) -> list[SeriesKey]:
        if watch.after is None:
            return []
        if watch.after > revision:
            return sorted(lengths)
        found = changes.since(self._db, watch.after)
        return [
            (metric.run_id, metric.name, metric.rank)
            for metric in found.metrics
            if watch.wants(metric.run_id, metric.name)
        ]

    def _run(self) -> None:
        last_check = time.monotonic()
        unsent = False
        while not self._stop.is_set():
            started = 0.0
            try:
                newest = self._db.commits.wait(self._revision, TICK_S if unsent else IDLE_S)
                if self._stop.is_set():
                    return
                with self._tick:
                    if newest > self._revision:
                        started = time.monotonic()
                        self._take_in(newest)
                    unsent = self._send_all()
                self.n_ticks += 1
                if time.monotonic() - last_check > CHECK_EVERY_S:
                    last_check = time.monotonic()
                    self._hang_up_on_revoked()
            except Exception:  # noqa: BLE001 - the thread must survive whatever one tick meets
                self.n_failures += 1
                _log.exception("the live path failed; it goes on in a second")
                self._stop.wait(1.0)
            # The first change after a pause went out at once; the next waits for its turn.
            self._stop.wait(max(0.0, TICK_S - (time.monotonic() - started)))

    def _all(self) -> list[Watcher]:
        with self._lock:
            return list(self._watchers.values())

    def _take_in(self, newest: int) -> None:
        watchers = self._all()
        if not watchers:
            self._revision = newest
            return
        found = changes.since(self._db, self._revision)
        with self._lock:
            for metric in found.metrics:
                key = (metric.run_id, metric.name, metric.rank)
                before = self._lengths.get(key)
                for watcher in watchers:
                    if watcher.watch.wants(metric.run_id, metric.name):
                        watcher.pending[key] = metric.n_points
                        if key not in watcher.told:
                            guess = max(0, metric.n_points - UNKNOWN_SERIES_POINTS)
                            watcher.told[key] = guess if before is None else before
                if len(self._lengths) >= SERIES_REMEMBERED:
                    self._lengths.clear()
                self._lengths[key] = metric.n_points
            for watcher in watchers:
                watcher.note_runs(set(found.runs), set(found.deleted))
                watcher.note_jobs(set(found.jobs), set(found.sweeps), found.queue)
                watcher.note_logs(found.logs)
                watcher.note_items(
                    [item for item in found.media if item["run"] in watcher.watch.runs],
                    list(found.alerts),
                )
        self._revision = found.revision

    def _send_all(self) -> bool:
        """Send what there is; whether something is left."""
        now = time.monotonic()
        left = False
        read: dict[tuple[SeriesKey, int], tuple[int, int, bytes]] = {}
        rows: dict[str, dict[str, Any] | None] = {}
        waiting_runs = self._runs_due(now)
        for watcher in self._all():
            if not watcher.has_news():
                continue
            if watcher.outlet.waiting() > MAX_WAITING:
                left = True
                watcher.blocked_since = watcher.blocked_since or now
                if now - watcher.blocked_since > BLOCKED_LIMIT_S:
                    self.n_too_slow += 1
                    watcher.outlet.close("too slow")
                continue
            watcher.blocked_since = None
            self._send_points(watcher, read)
            self._send_rest(watcher, rows, waiting_runs)
            left = left or watcher.has_news()
        return left

    def _send_points(
        self, watcher: Watcher, read: dict[tuple[SeriesKey, int], tuple[int, int, bytes]]
    ) -> None:
        with self._lock:
            series = [(key, watcher.told.get(key, 0), end) for key, end in watcher.pending.items()]
            series = series[:SERIES_PER_MESSAGE]
        header: list[dict[str, Any]] = []
        pieces: list[bytes] = []
        sent: dict[SeriesKey, int] = {}
        near: list[tuple[SeriesKey, int, int]] = []
        n_points = 0
        for key, start, end in series:
            if n_points >= POINTS_PER_MESSAGE:
                break
            if end - start > POINTS_PER_SERIES:
                # Too far behind to be told: an index beyond what the page has makes it fetch the curve.
                run, metric, rank = key
                header.append({"run": run, "metric": metric, "rank": rank, "index": end, "n": 0})
                sent[key] = end
                continue
            near.append((key, start, end))
            n_points += end - start
        self._read({key: start for key, start, _ in near if (key, start) not in read}, read)
        for key, start, end in near:
            n, first, data = read[key, start]
            sent[key] = max(end, first + n)
            if n:
                run, metric, rank = key
                header.append({"run": run, "metric": metric, "rank": rank, "index": first, "n": n})
                pieces.append(data)
        with self._lock:
            for key, end in sent.items():
                if key in watcher.told:
                    watcher.told[key] = end
                    if watcher.pending.get(key, 0) <= end:
                        watcher.pending.pop(key, None)
        if header:
            watcher.outlet.send("points", {"revision": self._revision, "series": header}, b"".join(pieces))

    def _read(
        self, starts: dict[SeriesKey, int], read: dict[tuple[SeriesKey, int], tuple[int, int, bytes]]
    ) -> None:
        """Add to `read` what each of these series has from its start on: nothing, if it is gone."""
        news = curves.read_news(self._db, starts)
        for key, start in starts.items():
            points = news.get(key)
            if points is None:
                read[key, start] = (0, start, b"")
                continue
            columns = (points.steps, points.times, points.values)
            data = b"".join(np.ascontiguousarray(column, dtype="<f8").tobytes() for column in columns)
            read[key, start] = (len(points.steps), points.first_index, data)

    def _runs_due(self, now: float) -> set[str]:
        """Runs whose row went out just now and must wait."""
        if len(self._runs_sent) > MAX_PENDING:
            self._runs_sent = {
                run: sent for run, sent in self._runs_sent.items() if now - sent[0] < RUN_EVERY_S
            }
        return {run for run, (at, _) in self._runs_sent.items() if now - at < RUN_EVERY_S}

    def _send_rest(self, watcher: Watcher, rows: dict[str, dict[str, Any] | None], waiting: set[str]) -> None:
        with self._lock:
            changed, watcher.runs = watcher.runs, set()
            deleted, watcher.deleted = watcher.deleted, set()
            media, watcher.media = watcher.media, []
            alerts, watcher.alerts = watcher.alerts, []
            logs, watcher.logs = watcher.logs, {}
            overflowed, watcher.overflowed = watcher.overflowed, False
        if overflowed:
            watcher.outlet.send("resync", {"revision": self._revision})
        found = []
        for row in self._rows(changed, rows):
            run = row["id"]
            if run in waiting and self._runs_sent[run][1] == row["status"]:
                watcher.runs.add(run)
                continue
            self._runs_sent[run] = (time.monotonic(), row["status"])
            found.append(row)
        if found or deleted:
            watcher.outlet.send(
                "run", {"revision": self._revision, "runs": found, "deleted": sorted(deleted)}
            )
        self._send_jobs(watcher)
        if logs:
            lengths = [{"run": run, "n": n} for run, n in sorted(logs.items())]
            watcher.outlet.send("logs", {"revision": self._revision, "logs": lengths})
        if media:
            watcher.outlet.send("media", {"revision": self._revision, "media": plain(media)})
        if alerts:
            watcher.outlet.send("alert", {"revision": self._revision, "alerts": plain(alerts)})

    def _send_jobs(self, watcher: Watcher) -> None:
        """Jobs and sweeps that changed; and, if the queue did, all agents: few, and cheap to send whole."""
        with self._lock:
            changed, watcher.jobs = watcher.jobs, set()
            swept, watcher.sweeps = watcher.sweeps, set()
            queue, watcher.queue = watcher.queue, False
        if changed:
            found = plain(jobs.get_jobs(self._db, sorted(changed)))
            watcher.outlet.send("job", {"revision": self._revision, "jobs": found})
        if swept:
            found = plain(sweeps.get_sweeps(self._db, sorted(swept)))
            watcher.outlet.send("sweep", {"revision": self._revision, "sweeps": found})
        if queue:
            message = {"agents": plain(agents.list_agents(self._db)), "paused": jobs.is_paused(self._db)}
            watcher.outlet.send("agents", {"revision": self._revision, **message})

    def _rows(self, wanted: set[str], rows: dict[str, dict[str, Any] | None]) -> list[dict[str, Any]]:
        missing = sorted(wanted - rows.keys())
        if missing:
            rows.update(dict.fromkeys(missing))
            for row in runs.get_runs(self._db, missing):
                rows[row["id"]] = plain({key: value for key, value in row.items() if key not in _RUN_DETAILS})
        found = (rows[run] for run in sorted(wanted))
        return [row for row in found if row is not None]

    def _hang_up_on_revoked(self) -> None:
        valid: dict[tuple[str, bool], bool] = {}
        for watcher in self._all():
            if watcher.secret not in valid:
                valid[watcher.secret] = self._valid(watcher.secret)
            if not valid[watcher.secret]:
                watcher.outlet.close("signed out")
