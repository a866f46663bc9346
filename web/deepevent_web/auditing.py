"""Who changed what, and who was refused, for the audit log.

Jobs and tokens are noted by the store in the transaction that changes them. All other changes that need an
operator are noted here once they have succeeded, and so is every change that was refused to somebody who is
signed in. One who tries without end fills a few lines, not the disk. Knows routes by their name alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from deepevent.errors import DeepEventError
from deepevent_web.rates import Rates
from deepevent_web.routes import Route

NOTED_BY_THE_STORE = ("jobs.", "agents.", "sweeps.", "alerts.")
REFUSALS_AT_ONCE = 3
REFUSALS_PER_S = 1 / 30
STRANGERS = "somebody who is not signed in"

_log = logging.getLogger(__name__)


class Auditor:
    """Writes lines of the audit log, and never lets a request fail for one.

    Args:
        record: writes one: who, what, and to what.
    """

    def __init__(self, record: Callable[[str, str, str], None]) -> None:
        self._record = record
        self._refusals = Rates(REFUSALS_AT_ONCE, REFUSALS_PER_S)

    def changed(self, actor: str, route: Route, path: str) -> None:
        """Note what a route did, if it is one to be noted."""
        changes = route.role == "operator" and route.method != "GET"
        if changes and not route.endpoint.startswith(NOTED_BY_THE_STORE):
            self.note(actor, route.endpoint, path)

    def refused(self, actor: str, what: str) -> None:
        """Note that a change was refused; at most a few lines for each actor."""
        if self._refusals.take(actor) == 0:
            self.note(actor, "refused", what)

    def note(self, actor: str, action: str, detail: str = "") -> None:
        """Write a line."""
        try:
            self._record(actor, action, detail)
        except DeepEventError:
            _log.warning("the audit log could not be written: %s", action)
