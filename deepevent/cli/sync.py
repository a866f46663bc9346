"""`deepevent sync`: send what scripts left in the spool to a server."""

from __future__ import annotations

import sys
import time

from deepevent.endpoint import Endpoint
from deepevent.errors import BatchInvalid, RunDeleted, ServerBusy, ServerRefused, ServerUnreachable
from deepevent.settings import Settings
from deepevent.spool import Report, adopt
from deepevent.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import BinaryIO, TypeVar

    from deepevent.wire import Batch

    Answered = TypeVar("Answered")

TOO_MUCH = 429
HELP = "send what scripts left in the spool to a server"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    parser.add_argument("--home", help="the folder with the spool (default: DEEPEVENT_HOME or ~/.deepevent)")
    parser.add_argument("--url", help="the server (default: DEEPEVENT_URL, or the one of the local home)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Send everything; exit code 1 if something was refused or damaged."""
    settings = Settings({"home": arguments.home, "url": arguments.url})
    endpoint = Endpoint(settings.home, settings.url, settings.token)
    endpoint.refresh()
    if not endpoint.url:
        raise ServerUnreachable(
            f"no server is known: start 'deepevent serve', or give --url (looked for {endpoint.path})"
        )
    transport = Transport(endpoint.url, endpoint.token, trust=endpoint.trust())
    report = Report()
    try:
        adopt(
            settings.home, lambda batch: send(transport, batch), lambda *blob: put(transport, *blob), report
        )
    finally:
        transport.close()
        for sentence in report.damage + report.refused:
            print(f"deepevent sync: {sentence}", file=sys.stderr)
    _print(report, endpoint.url, arguments.json)
    return 1 if report.damage or report.refused else 0


def _print(report: Report, url: str, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps(vars(report)))
    else:
        sent = f"{report.n_records} records and {report.n_blobs} files of {report.n_writers} writers"
        print(f"sent {sent} to {url}")


def send(transport: Transport, batch: Batch) -> int:
    """Send a batch of somebody else's; what will never be taken is RunDeleted or BatchInvalid."""
    try:
        return _patiently(lambda: transport.send(batch).acknowledged)
    except ServerRefused as error:
        if error.status == 404:
            raise RunDeleted(f"the run was deleted on the server ({error.detail})") from error
        if error.status in (413, 422):
            raise BatchInvalid(str(error)) from error
        raise


def put(transport: Transport, sha256: str, file: BinaryIO, size_bytes: int) -> None:
    """Upload a blob of somebody else's; what will never be taken is BatchInvalid."""

    def upload() -> None:
        file.seek(0)
        transport.put_blob(sha256, file, size_bytes)

    try:
        _patiently(upload)
    except ServerRefused as error:
        if error.status in (413, 422):
            raise BatchInvalid(str(error)) from error
        raise


def _patiently(call: Callable[[], Answered]) -> Answered:
    """Make a call again for as long as the server says that this token has had its share for the moment."""
    while True:
        try:
            return call()
        except ServerBusy as error:
            if error.status != TOO_MUCH:
                raise
            time.sleep(error.retry_after_s or 1.0)
