"""`deepevent agent`: take jobs from the server and run them here.

This module reads the command line; the work is in `workers` (the loop that claims and reports), `tasks`
(from a job to an argument list and an environment), `output` (what a job prints) and `engines`.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from deepevent.errors import SettingsError
from deepevent.recipes import Recipe, load_recipes
from deepevent.serverapi import ServerApi, find
from deepevent.settings import Settings
from deepevent_trainer import machine
from deepevent_trainer.engines import Engine
from deepevent_trainer.engines.local import LocalEngine
from deepevent_trainer.engines.ray import RayEngine
from deepevent_trainer.workers import Agent, Offer

HELP = "take jobs from the server and run them on this machine"
OWN_RECIPES = Path(__file__).with_name("recipes") / "deepevent.toml"
RECIPE_FILE = "deepevent.toml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "--server", metavar="URL", help="default: DEEPEVENT_URL, else the one of the local home"
    )
    parser.add_argument("--slots", type=int, default=1, help="jobs to run at once (default: 1)")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where jobs run: on this machine, or on a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="HOST:PORT",
        help="of the cluster (default: RAY_ADDRESS, else one on this machine)",
    )
    parser.add_argument(
        "--recipes",
        action="append",
        default=[],
        metavar="FILE",
        help=f"a recipe file or its folder, several times (default: ./{RECIPE_FILE} if there is one)",
    )
    parser.add_argument(
        "--data",
        default="~",
        metavar="DIR",
        help="what recipes call {data}: folders of data lie below it (default: ~)",
    )
    parser.add_argument("--no-own-recipes", action="store_true", help="do not offer those of the detector")
    parser.add_argument(
        "--allow-commands", action="store_true", help="run any command that an operator submits, as this user"
    )
    parser.add_argument("--name", help="what people call this agent (default: the host's name)")
    parser.add_argument("--gpus", default="auto", help="auto, none, or numbers such as 0,2 (default: auto)")
    parser.add_argument(
        "--grace", type=float, default=20.0, metavar="SECONDS", help="from SIGTERM to SIGKILL (default: 20)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Run the agent until it is told to stop."""
    settings = Settings({"url": arguments.server})
    if arguments.allow_commands:
        _require_safe_way(settings.url)
    offer, engine = _read_offer(arguments), _engine(arguments)
    if isinstance(engine, RayEngine):
        cpus, gpus, memory_mb = engine.capacity()
        offer = replace(offer, cpus=cpus, gpus=gpus if arguments.gpus != "none" else (), memory_mb=memory_mb)
    api = ServerApi(find(settings))
    agent = Agent(api, engine, offer, settings, grace_s=arguments.grace)
    _stop_on_signal(agent)
    return agent.run()


def _stop_on_signal(agent: Agent) -> None:
    """Stop the agent by SIGTERM, SIGINT or SIGHUP, whichever of its threads the kernel hands the signal to.

    Python runs handlers in the first thread alone, once that wakes up: it may sleep for hours. The pipe is
    written to at once.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    def wait() -> None:
        os.read(reading, 1)
        agent.stop()

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _require_safe_way(url: str) -> None:
    """Refuse to run what anybody on the way to the server could have written."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise SettingsError(
            f"with --allow-commands whoever can change what {url} answers runs commands here: "
            "reach the server over https, or through a tunnel to this machine"
        )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_offer(arguments: argparse.Namespace) -> Offer:
    if not 1 <= arguments.slots <= 1_000:
        raise SettingsError(f"--slots must lie between 1 and 1000, got {arguments.slots}")
    if not 0 <= arguments.grace <= 86_400:
        raise SettingsError(f"--grace must lie between 0 and 86400 seconds, got {arguments.grace}")
    data = Path(arguments.data).expanduser()
    if not data.is_dir():
        raise SettingsError(f"--data {arguments.data!r} is not a folder")
    files = [Path(name) / RECIPE_FILE if Path(name).is_dir() else Path(name) for name in arguments.recipes]
    if not files and Path(RECIPE_FILE).is_file():
        files = [Path(RECIPE_FILE)]
    if not arguments.no_own_recipes:
        files.insert(0, OWN_RECIPES)
    recipes: dict[str, Recipe] = {}
    for file in files:
        recipes |= load_recipes(file)
    if not recipes and not arguments.allow_commands:
        raise SettingsError(
            "this agent offers nothing: give a recipe file with --recipes, or --allow-commands"
        )
    return Offer(
        name=arguments.name or socket.gethostname(),
        slots=arguments.slots,
        cpus=max(machine.count_cpus(), arguments.slots),
        gpus=machine.find_gpus(arguments.gpus),
        memory_mb=machine.memory_mb(),
        allow_commands=arguments.allow_commands,
        recipes=recipes,
        data=str(data.resolve()),
    )


def _engine(arguments: argparse.Namespace) -> Engine:
    if arguments.engine == "local":
        return LocalEngine()
    if arguments.gpus not in ("auto", "none"):
        raise SettingsError(f"with --engine ray, Ray hands out the GPUs: --gpus cannot be {arguments.gpus!r}")
    return RayEngine(arguments.ray_address or os.environ.get("RAY_ADDRESS") or "auto")
