"""The wheel as a stranger gets it: built, installed alone, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, **environment: str) -> str:
    """Run a command outside the checkout and return its output; a failure shows what it printed."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=environment.pop("cwd", "/"),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


def install(wheel: Path, extras: str, folder: Path) -> Path:
    """Make a virtual environment in `folder` with the wheel and its extras alone; return its bin folder."""
    run(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, "--constraint", ROOT / "constraints.txt", f"{wheel}{extras}")
    return folder / "bin"


def test_the_wheel_holds_pages_and_migrations(wheel: Path) -> None:
    """What is not Python code travels too: the dashboard's files, the migrations, the trained cascade."""
    names = zipfile.ZipFile(wheel).namelist()
    wanted = {"deepevent/py.typed", "deepevent/_migrations/env.py", "deepevent_web/static/tokens.css"}
    trained = "deepevent_trainer/weights/best.cascade"
    assert wanted | {"deepevent_trainer/recipes/deepevent.toml", trained} <= set(names)
    assert any(name.startswith("deepevent/_migrations/versions/") for name in names)
    assert not any(name.startswith(("tests/", "web/", "trainer/", "benchmarks/")) for name in names)


@pytest.mark.timeout(300)
def test_the_wheel_alone_is_a_client(wheel: Path, tmp_path: Path) -> None:
    """Without any extra, the client logs to its spool and brings no other package along."""
    bin_folder = install(wheel, "", tmp_path / "venv")
    home = tmp_path / "home"
    run_id = run(
        bin_folder / "deepevent", "log", "--run", "alone", "loss=0.5", DEEPEVENT_HOME=str(home)
    ).strip()
    assert list((home / "spool").rglob("*.seg")), f"no journal for run {run_id}"
    listing = run(bin_folder / "python", "-m", "pip", "list", "--format", "json")
    assert {entry["name"] for entry in json.loads(listing)} <= {"deepevent-monitor", "pip", "setuptools"}


@pytest.mark.timeout(300)
def test_the_wheel_with_server_serves(wheel: Path, tmp_path: Path) -> None:
    """With the server extra, an installed wheel takes in a spooled run and answers."""
    bin_folder = install(wheel, "[server]", tmp_path / "venv")
    home = tmp_path / "home"
    environment = {**os.environ, "DEEPEVENT_HOME": str(home)}
    run(bin_folder / "deepevent", "log", "--run", "served", "loss=0.25", DEEPEVENT_HOME=str(home))
    server = subprocess.Popen(
        [bin_folder / "deepevent", "serve", "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        names: list[str] = []
        while names != ["served"] and time.monotonic() < deadline:
            assert server.poll() is None, "the server ended by itself"
            names = run_names(home)
            time.sleep(0.1)
        assert names == ["served"]
    finally:
        server.terminate()
        assert server.wait(20) == 0


def run_names(home: Path) -> list[str]:
    """Return the names of the runs that the server of this home lists; none while it is not up."""
    try:
        place = json.loads((home / "server.json").read_text())
        request = urllib.request.Request(
            place["url"] + "/api/v1/runs", headers={"Authorization": "Bearer " + place["token"]}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return [entry["name"] for entry in json.load(answer)["runs"]]
    except OSError:
        return []
