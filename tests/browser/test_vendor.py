"""The vendored modules: what the manifest says is what lies there, with its licence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import deepevent_web

VENDOR = Path(deepevent_web.__file__).with_name("static") / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())


def test_files_are_byte_identical_to_the_manifest() -> None:
    """No vendored file was edited."""
    for entry in MANIFEST:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry[
            "file"
        ]


def test_every_file_is_in_the_manifest() -> None:
    """Nothing lies in the folder that the manifest does not name."""
    assert sorted(path.name for path in VENDOR.glob("*.js")) == sorted(entry["file"] for entry in MANIFEST)


def test_every_entry_has_version_and_licence_text() -> None:
    """A reader finds name, version, origin and licence of each module."""
    for entry in MANIFEST:
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", entry["version"])
        assert entry["licence"] in ("MIT", "Apache-2.0")
        assert entry["source"]
        text = (VENDOR / entry["licence_file"]).read_text()
        assert ("MIT License" in text) or ("Apache License" in text)


def test_imports_name_vendored_files_and_nothing_else() -> None:
    """Every import of a vendored module resolves offline."""
    names = json.loads((VENDOR / "imports.json").read_text())
    for target in names.values():
        assert (VENDOR.parent / target).is_file()
    for path in VENDOR.glob("*.js"):
        for wanted in re.findall(r'(?:from|import)\s*"([^"]+)"', path.read_text()):
            assert wanted in names, f"{path.name} imports {wanted}"
