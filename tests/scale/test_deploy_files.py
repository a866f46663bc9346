"""What lies in deploy/ fits the program: flags, names, ports, and the sandbox."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepevent_web import serve, tokens

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
EXPOSURE_LIMIT = 2.0
"""Of 10, by `systemd-analyze security`; services without a sandbox have 9.6."""


def _parse(module: Any, words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.configure(parser)
    return parser.parse_args(words)


def _filled(word: str) -> str:
    """A word of the compose file as it is once its variables are set."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda m: {"PUBLIC_URL": "http://localhost:8080"}.get(m[1], "x"), word)


@pytest.fixture
def compose() -> Any:
    """The compose file."""
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_servers_of_the_compose_file_are_given_flags_that_exist(compose: Any) -> None:
    """Two servers, one store, shared files, and a home of its own for each."""
    services = compose["services"]
    homes = set()
    for name in ("server-1", "server-2"):
        command = [_filled(word) for word in services[name]["command"]]
        assert command[0] == "serve"
        arguments = _parse(serve, command[1:])
        assert arguments.store.startswith("postgresql+psycopg://") and arguments.workers == 2
        assert arguments.blobs == "file:///blobs"
        serve._check(arguments)
        mounts = dict(volume.split(":") for volume in services[name]["volumes"])
        assert set(mounts.values()) == {"/data", "/blobs"}
        homes.add(next(volume for volume, path in mounts.items() if path == "/data"))
        assert set(mounts) <= set(compose["volumes"])
    assert len(homes) == 2
    words = [_filled(word) for word in services["setup"]["command"]]
    assert words[0] == "token" and _parse(tokens, words[1:]).action == "create"


def test_nginx_sends_to_the_servers_and_lets_sockets_through(compose: Any) -> None:
    """Its names and ports are the compose file's and the image's; the upgrade is passed on."""
    text = (DEPLOY / "nginx.conf").read_text()
    exposed = re.search(r"^EXPOSE (\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed
    servers = re.findall(r"^\s+server ([\w-]+):(\d+)", text, re.MULTILINE)
    assert servers == [(name, exposed[1]) for name in ("server-1", "server-2")]
    assert {name for name, _ in servers} <= set(compose["services"])
    listening = re.search(r"listen (\d+);", text)
    assert listening and compose["services"]["proxy"]["ports"] == [f"{listening[1]}:{listening[1]}"]
    assert "proxy_set_header Upgrade $http_upgrade;" in text


def test_the_image_installs_extras_that_exist() -> None:
    """And starts the command that the package has."""
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.search(r'"\.\[([\w,]+)\]"', text)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras and set(extras[1].split(",")) <= set(known)
    assert 'ENTRYPOINT ["deepevent"]' in text


def test_the_unit_is_valid_and_its_sandbox_tight(tmp_path: Path) -> None:
    """systemd itself says so, of the unit with this checkout's program."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    text = (DEPLOY / "deepevent.service").read_text()
    start = re.search(r"^ExecStart=(\S+) serve (.*)$", text, re.MULTILINE)
    assert start
    _parse(serve, start[2].split())
    unit = tmp_path / "deepevent.service"
    unit.write_text(text.replace(start[1], str(Path(sys.executable).with_name("deepevent"))))
    verified = subprocess.run([program, "verify", unit], capture_output=True, text=True)
    assert verified.returncode == 0 and "deepevent.service" not in verified.stderr, verified.stderr
    told = subprocess.run(
        [program, "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True
    )
    exposure = re.search(r"Overall exposure level for deepevent.service: ([\d.]+)", told.stdout)
    assert exposure, told.stderr
    assert float(exposure[1]) < EXPOSURE_LIMIT, told.stdout
