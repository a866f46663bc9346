"""What `deepevent log` does once its words are read: joins the run, logs, and hands over to the server.

One call is one writer of the run. A call that logs one thing makes a small segment and no thread; it ships by
itself if a server is there, and otherwise leaves its points in the spool. A call that reads stdin is an
ordinary run with its shipper.
"""

# Plain os functions: pathlib would be a fifth of the start of `deepevent log`.
# ruff: noqa: PTH108, PTH118

from __future__ import annotations

import fcntl
import os
import sys

from deepevent.errors import DeepEventError
from deepevent.notices import say
from deepevent.runids import NAMES_FOLDER, find_run_id, forget_name
from deepevent.segment import SEGMENT_SIZE
from deepevent.settings import Settings
from deepevent.starting import OWNED, made_up_name, open_run, run_event
from deepevent.wire import is_ulid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deepevent.cli.log import Request
    from deepevent.run import Run

SMALL_SEGMENT_SIZE = 4096
SHIP_TIMEOUT_S = 2.0
BAD_LINES_SHOWN = 5


def carry_out(request: Request) -> int:
    """Log what was asked for; returns the exit code."""
    flags = {
        name[2:]: value for name, value in request.options.items() if name in ("--run", "--project", "--url")
    }
    settings = Settings(flags)
    if settings.mode == "disabled":
        return _pass_through(request)
    from deepevent.ids import new_id

    called = settings.run
    run_id, is_new = find_run_id(settings.home, settings.project, called) if called else (new_id(), True)
    streaming = request.stdin or bool(request.patterns)
    name = called if called and not is_ulid(called.lower()) else made_up_name(run_id) if is_new else None
    project = settings.project if is_new or "--project" in request.options else None
    run = open_run(
        settings,
        run_id,
        run_event(
            name=name,
            project=project,
            rank=settings.rank,
            resumed=not is_new,
            finishes=is_new and streaming and OWNED not in os.environ,
        ),
        in_background=streaming,
        segment_size=SEGMENT_SIZE if streaming else SMALL_SEGMENT_SIZE,
    )
    if is_new:
        print(run_id, file=sys.stderr if request.patterns else sys.stdout, flush=True)
    code = _log(run, request)
    status = request.options.get("--finish")
    if status:
        run.finishes = True
        forget_name(settings.home, settings.project, called)
        _forget_step(settings.home, run_id)
    if streaming or status:
        run.finish(status or "completed")
    if not streaming:
        run.close_writer()
        _ship(run)
    return code


def _log(run: Run, request: Request) -> int:
    if request.stdin:
        return _log_lines(run, sys.stdin, _read_json)
    if request.patterns:
        from deepevent.cli._patterns import reader_of

        return _log_lines(run, _echoed(sys.stdin), reader_of(request.patterns))
    step_text, epoch_text = request.options.get("--step"), request.options.get("--epoch")
    epoch = None if epoch_text is None else float(epoch_text)
    if request.values or request.images:
        step = int(step_text) if step_text is not None else _next_step(run.settings.home, run.id)
        run.log(request.values, step, epoch)
        for image in request.images:
            name, _, path = image.partition("=")
            if not os.path.isfile(path):  # noqa: PTH113
                raise DeepEventError(f"--image: there is no file {path!r}")
            run.log_image(name, path, step=step, epoch=epoch)
    return 0


def _log_lines(run: Run, lines: Iterable[str], read: Callable[[str], dict[str, object] | None]) -> int:
    """Log each line that holds something; returns 1 if any could not be read."""
    n_bad = 0
    for line in lines:
        try:
            values = read(line)
        except ValueError as error:
            n_bad += 1
            if n_bad <= BAD_LINES_SHOWN:
                say(f"a line was left out: {error}")
            continue
        if values:
            step, epoch = values.pop("step", None), values.pop("epoch", None)
            run.log(values, step, epoch)  # type: ignore[arg-type]
    if n_bad:
        say(f"{n_bad} lines were left out")
    return 1 if n_bad else 0


def _read_json(line: str) -> dict[str, object] | None:
    if not line.strip():
        return None
    import json

    try:
        values = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError(f"it must be a JSON object, got {line.strip()[:50]!r}")
    return values


def _echoed(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()
        yield line


def _pass_through(request: Request) -> int:
    """Do nothing, and still let a program's output through."""
    if request.patterns:
        for _ in _echoed(sys.stdin):
            pass
    return 0


def _step_file(home: str, run_id: str) -> str:
    return os.path.join(home, NAMES_FOLDER, f"{run_id}.step")


def _next_step(home: str, run_id: str) -> int:
    """Count the calls for a run, also when they run at the same time."""
    path = _step_file(home, run_id)
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        text = os.pread(descriptor, 32, 0)
        step = int(text) if text.strip().isdigit() else 0
        os.pwrite(descriptor, b"%d\n" % (step + 1), 0)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return step


def _forget_step(home: str, run_id: str) -> None:
    try:
        os.unlink(_step_file(home, run_id))
    except OSError:
        return


def _ship(run: Run) -> None:
    """Send this call's points if a server is there; whatever fails, they are in the spool."""
    endpoint = run.endpoint
    if endpoint is None or not run.folder:
        return
    endpoint.refresh()
    if not endpoint.url:
        return
    from deepevent.spool import Report, adopt_writer
    from deepevent.transport import Transport

    transport = Transport(endpoint.url, endpoint.token, SHIP_TIMEOUT_S, endpoint.trust())
    try:
        adopt_writer(
            run.folder, lambda batch: transport.send(batch).acknowledged, transport.put_blob, Report()
        )
    except DeepEventError as error:
        if run.settings.url:  # a server that was named and does not answer is worth a word
            say(f"the points wait in {run.folder} for 'deepevent sync': {error}")
    finally:
        transport.close()
