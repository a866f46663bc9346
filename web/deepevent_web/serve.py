"""`deepevent serve`: the production server, from the command line's arguments to a drained exit.

This process checks everything that can go wrong (home, lock, port, store, tokens) before it listens, so
that each problem is one sentence; then gunicorn runs the application in a worker. Never Werkzeug's
development server.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepevent.errors import DeepEventError, SettingsError
from deepevent_web import exposure
from deepevent_web import home as homes
from deepevent_web.home import home_folder, store_url
from deepevent_web.policy import Policy

if TYPE_CHECKING:
    import ssl

    from deepevent.store.connection import Database
    from deepevent.store.quotas import Holding
    from deepevent_web.limits import Limits

HELP = "run the server and its dashboard"
DEFAULT_PORT = 6060
BACKLOG = 512
THREADS_RESERVE = 64
GRACEFUL_TIMEOUT_S = 3
LOCAL_NAME = "server.json of "
"""How the name of the token begins that each start of a server writes for the scripts of its machine."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes any free port (default: 6060)"
    )
    parser.add_argument(
        "--store", help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME (default: in the home)"
    )
    parser.add_argument(
        "--blobs", metavar="URL", help="where images and files lie: file:///FOLDER or s3://BUCKET/PREFIX"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes; more than 1 needs PostgreSQL (default: 1)"
    )
    parser.add_argument(
        "--viewers",
        type=int,
        default=100,
        help="pages that may be open at once in each worker (default: 100)",
    )
    parser.add_argument(
        "--viewers-per-address",
        type=int,
        default=None,
        help="the same from one address (default: 40)",
    )
    parser.add_argument(
        "--lease",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="an agent that is silent for so long loses its jobs (default: 30)",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="json: a line for each request too (default: text, warnings alone)",
    )
    parser.add_argument(
        "--ingest-memory",
        type=int,
        default=256,
        metavar="MIB",
        help="what may wait for its commit; beyond it scripts are told to come back later (default: 256)",
    )
    parser.add_argument(
        "--quota",
        action="append",
        default=[],
        metavar="PROJECT:runs=N,points=N,bytes=N",
        help="what a project may hold, such as faces:points=10M,bytes=5GB; * is every other project",
    )
    exposure.configure(parser)


@dataclass(frozen=True)
class Plan:
    """All that the worker needs to know."""

    home: Path
    store: str
    blobs: str
    address: str
    link: str
    policy: Policy
    viewers: int
    viewers_per_address: int
    lease_s: float
    log_format: str
    ingest_bytes: int
    quotas: dict[str, Holding]
    limits: Limits
    tls: ssl.SSLContext | None
    certificate: Path | None


def execute(arguments: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    try:
        _check(arguments)
        home = home_folder()
        homes.make_home(home)
        homes.take_lock(home)
        homes.check_blobs(arguments.blobs)
        listener = _listen(arguments.host, arguments.port)
        plan = _prepare(arguments, home, listener)
    except DeepEventError as error:
        print(f"deepevent serve: {error}", file=sys.stderr)
        return 1
    try:
        return _serve(plan, listener, arguments.workers)
    finally:
        homes.remove_server_file(home)


def _check(arguments: argparse.Namespace) -> None:
    wrong = []
    if not 0 <= arguments.port <= 65535:
        wrong.append(f"--port must lie between 0 and 65535, got {arguments.port}")
    if not 1 <= arguments.workers <= 64:
        wrong.append(f"--workers must lie between 1 and 64, got {arguments.workers}")
    if arguments.workers > 1 and not (arguments.store or "").startswith("postgres"):
        wrong.append(
            f"--workers {arguments.workers} needs PostgreSQL (--store postgresql+psycopg://USER@HOST/NAME): "
            "a SQLite store has one writer, and a second process would hear of its commits late"
        )
    if not 1 <= arguments.viewers <= 2000:
        wrong.append(f"--viewers must lie between 1 and 2000, got {arguments.viewers}")
    if not 1 <= arguments.lease <= 86_400:
        wrong.append(f"--lease must lie between 1 and 86400 seconds, got {arguments.lease}")
    if not 1 <= arguments.ingest_memory <= 65_536:
        wrong.append(f"--ingest-memory must lie between 1 and 65536 MiB, got {arguments.ingest_memory}")
    wrong += exposure.problems(arguments)
    if wrong:
        raise SettingsError("; ".join(wrong))


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise SettingsError(f"--host {host!r} is no address of this machine: {error.strerror}") from error
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port {port} is taken by another program; choose another with --port, "
                "or --port 0 for any free one"
            ) from error
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _prepare(arguments: argparse.Namespace, home: Path, listener: socket.socket) -> Plan:
    """Bring the store up to date, make this start's token and sign-in code, and tell local scripts."""
    from deepevent.store import access, connection, migrate, quotas
    from deepevent_web.limits import adjusted
    from deepevent_web.sessions import CODE_S

    port = listener.getsockname()[1]
    address = exposure.public_url(arguments, port)
    limits, policy, tls = adjusted(arguments.limit), exposure.policy(arguments), exposure.tls(arguments)
    store = arguments.store or store_url(home)
    db = connection.open_database(store)
    try:
        migrate.upgrade(db)
        if not exposure.is_loopback(arguments.host):
            _require_tokens(db, arguments.host)
        token = _renew_local_token(db, home)
        code = access.create_token(db, "sign-in", "operator", kind="code", expires_s=CODE_S)
    finally:
        db.close()
    homes.write_server_file(home, exposure.local_url(arguments, port), token, arguments.cert)
    return Plan(
        home=home,
        store=store,
        blobs=arguments.blobs or str(home / "blobs"),
        address=address,
        link=f"{address}/signin#{code}",
        policy=policy,
        viewers=arguments.viewers,
        viewers_per_address=arguments.viewers_per_address or limits.sockets_per_address,
        lease_s=arguments.lease,
        log_format=arguments.log_format,
        ingest_bytes=arguments.ingest_memory << 20,
        quotas=quotas.read(arguments.quota),
        limits=limits,
        tls=tls,
        certificate=arguments.cert,
    )


def _require_tokens(db: Database, host: str) -> None:
    from deepevent.store import access

    if not any(
        token["kind"] == "token" and not token["revoked"] and not token["name"].startswith(LOCAL_NAME)
        for token in access.list_tokens(db)
    ):
        raise SettingsError(
            f"listening on {host} opens this server to the network, and no token exists yet for those "
            "who may use it; make one first: deepevent token create NAME --role logger"
        )


def _renew_local_token(db: Database, home: Path) -> str:
    from deepevent.store import access

    name = f"{LOCAL_NAME}{socket.gethostname()}:{home}"[:250]
    for token in access.list_tokens(db):
        if token["kind"] == "token" and token["name"] == name and not token["revoked"]:
            access.revoke(db, token["id"])
    return access.create_token(db, name, "operator")


def _announce(plan: Plan) -> None:
    print(
        f"\nDeepEvent is running at {plan.address}\n\n"
        f"  Open     {plan.link}\n"
        "           (signs a browser in once, within an hour; another link: deepevent token link)\n"
        "  Scripts  on this machine find it by themselves;\n"
        f"           elsewhere set DEEPEVENT_URL={plan.address} and DEEPEVENT_TOKEN\n"
        "           (deepevent token create NAME)\n"
        f"  Data     {plan.home}\n\n"
        "Stop it with Ctrl+C.\n",
        flush=True,
    )


def _serve(plan: Plan, listener: socket.socket, workers: int) -> int:
    from gunicorn.app.base import BaseApplication
    from gunicorn.arbiter import Arbiter

    from deepevent_web import logs
    from deepevent_web.doorkeeper import Doorkeeper
    from deepevent_web.process import ServerProcess
    from deepevent_web.worker import DrainingWorker

    os.environ.pop("SCRIPT_NAME", None)
    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    class DrainingArbiter(Arbiter):  # type: ignore[misc]
        """Stops gently whatever the signal, and takes no orders to reload or to multiply."""

        handle_int = handle_quit = Arbiter.handle_term

        def handle_hup(self) -> None:
            if not ignores_hangup:
                self.handle_term()

        def handle_usr2(self) -> None:
            return

        handle_ttin = handle_ttou = handle_winch = handle_usr2

    class Server(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            logs.set_up(plan.log_format)
            for name, value in _settings(plan, listener, workers).items():
                self.cfg.set(name, value)
            if plan.tls is not None:
                self.cfg.set("certfile", str(plan.certificate))
                self.cfg.set("ssl_context", lambda _config, _default: plan.tls)
            DrainingWorker.doorkeeper = Doorkeeper(
                plan.limits.connections_per_address, plan.policy.trusted_proxies
            )
            self.cfg.set("worker_class", DrainingWorker)
            self.cfg.set("logger_class", logs.ServerLogger)
            self.cfg.set("post_worker_init", ready)
            self.cfg.set("worker_exit", ended)

        def load(self) -> Any:
            processes.append(ServerProcess(plan))
            return processes[0].wsgi

        def run(self) -> None:
            DrainingArbiter(self).run()

    processes: list[ServerProcess] = []

    def ready(worker: Any) -> None:
        processes[0].start()
        worker.drain = processes[0].drain
        if worker.age == 1:
            _announce(plan)

    def ended(_arbiter: Any, worker: Any) -> None:
        for process in processes:
            process.close()
        if worker.drained:
            # Everything is closed; taking the interpreter apart would take longer than all the rest.
            sys.stderr.flush()
            os._exit(0)

    try:
        Server().run()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 1
    return 0


def _settings(plan: Plan, listener: socket.socket, workers: int) -> dict[str, Any]:
    threads = plan.viewers + THREADS_RESERVE
    return {
        "bind": f"fd://{listener.detach()}",
        "workers": workers,
        "threads": threads,
        "worker_connections": threads + 2000,
        "timeout": 60,
        "graceful_timeout": GRACEFUL_TIMEOUT_S,
        "keepalive": 75,
        "errorlog": "-",
        "loglevel": "warning",
        "proc_name": "deepevent",
        "control_socket_disable": True,
        "forwarded_allow_ips": "",
        "limit_request_line": 8190,
        "limit_request_fields": 64,
        "limit_request_field_size": 8190,
    }
