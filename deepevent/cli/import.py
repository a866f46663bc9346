"""`deepevent import tensorboard DIR`: make runs of what another monitor has written.

What was read goes to the server that is there, or waits in the spool for one, like any run. A second import
of the same folder adds only what is new in it.
"""

from __future__ import annotations

import sys

from deepevent.cli import sync
from deepevent.endpoint import Endpoint
from deepevent.errors import BatchInvalid, DeepEventError, RunDeleted
from deepevent.settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from deepevent.importers.tensorboard import Imported

HELP = "make runs of what TensorBoard's event files hold"
FORMATS = ("tensorboard",)
SHOWN = ("scalar", "image", "text", "histogram")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the words."""
    from pathlib import Path

    parser.add_argument("format", choices=FORMATS, help="what wrote the files")
    parser.add_argument("folder", type=Path, metavar="DIR", help="what --logdir would name: one run or many")
    parser.add_argument("--project", help="where the runs belong (default: DEEPEVENT_PROJECT or 'default')")
    parser.add_argument("--url", help="the server; else DEEPEVENT_URL, else the one of the local home")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Import; exit code 1 if a file was broken or a run was refused."""
    from deepevent.importers.tensorboard import read_folder

    settings = Settings({"project": arguments.project, "url": arguments.url})
    endpoint = Endpoint(settings.home, settings.url, settings.token)
    endpoint.refresh()
    done: list[Imported] = []
    for imported in read_folder(arguments.folder, settings):
        _deliver(imported, endpoint)
        done.append(imported)
        if not arguments.json:
            print(_sentence(imported))
        for sentence in imported.damage:
            print(f"deepevent import: {sentence}", file=sys.stderr)
    if arguments.json:
        import json

        print(json.dumps({"runs": [vars(imported) for imported in done]}))
    elif not endpoint.url:
        print(f"{len(done)} runs wait in {settings.home} for 'deepevent serve' or 'deepevent sync'")
    return 1 if any(imported.damage for imported in done) else 0


def _deliver(imported: Imported, endpoint: Endpoint) -> None:
    """Send what was written into the spool, if a server is there; a server that goes away loses nothing."""
    if not endpoint.url:
        return
    from deepevent.spool import Report, adopt_writer
    from deepevent.transport import Transport

    transport = Transport(endpoint.url, endpoint.token)
    report = Report()
    try:
        for folder in imported.writers:
            adopt_writer(
                folder,
                lambda batch: sync.send(transport, batch),
                lambda *blob: sync.put(transport, *blob),
                report,
            )
    except (BatchInvalid, RunDeleted) as error:
        imported.damage.append(f"run {imported.name!r} was not taken: {error}")
    except DeepEventError as error:
        raise DeepEventError(f"{error}; the rest waits in the spool for 'deepevent sync'") from error
    finally:
        transport.close()
    imported.damage += report.damage + report.refused


def _sentence(imported: Imported) -> str:
    counts = [f"{imported.counts[kind]:,} {kind}s" for kind in SHOWN if imported.counts[kind]]
    left_out = [f"{n:,} of {kind}" for kind, n in sorted(imported.left_out.items())]
    text = f"{imported.run}  {imported.name}: {', '.join(counts) or 'nothing'}"
    return f"{text}; left out: {', '.join(left_out)}" if left_out else text
