"""`deepevent token create|list|rotate|revoke|link`: who may call the server.

Works on the store itself, so it needs no running server, and whoever can read the store's files may do it.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deepevent.errors import DeepEventError, SettingsError
from deepevent_web.home import SERVER_FILE, home_folder, make_home, store_url

if TYPE_CHECKING:
    from deepevent.store.connection import Database

HELP = "create, list, rotate and revoke access tokens; make a sign-in link"
ROLES = ("viewer", "logger", "agent", "operator")
LONGEST_S = 36_500 * 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("--store", help="the store's address (default: the database in the home)")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token; it is shown once")
    create.add_argument("name", help="whom or what it is for")
    create.add_argument("--role", choices=ROLES, default="logger")
    create.add_argument(
        "--expires",
        metavar="TIME",
        help="valid for so long, as 12h or 30d (default: until revoked)",
    )
    create.add_argument("--json", action="store_true")
    listing = actions.add_parser("list", help="show tokens and sessions, without their secrets")
    listing.add_argument("--json", action="store_true")
    rotate = actions.add_parser("rotate", help="give a token a new secret; the old one ends at once")
    rotate.add_argument("id", type=int, help="from `deepevent token list`")
    revoke = actions.add_parser("revoke", help="end a token or session; open pages are closed within seconds")
    revoke.add_argument("id", type=int, help="from `deepevent token list`")
    link = actions.add_parser("link", help="print a sign-in link for a browser; works once, within an hour")
    link.add_argument("--role", choices=("viewer", "operator"), default="operator")


def execute(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from deepevent.store import connection, migrate

    try:
        home = home_folder()
        make_home(home)
        db = connection.open_database(arguments.store or store_url(home))
        try:
            migrate.upgrade(db)
            return _ACTIONS[arguments.action](db, arguments, home)
        finally:
            db.close()
    except DeepEventError as error:
        print(f"deepevent token: {error}", file=sys.stderr)
        return 1


def _create(db: Database, arguments: argparse.Namespace, _home: Path) -> int:
    from deepevent.store import access

    expires_s = None if arguments.expires is None else _seconds(arguments.expires)
    secret = access.create_token(db, arguments.name, arguments.role, expires_s=expires_s, actor=_who())
    if arguments.json:
        print(json.dumps({"name": arguments.name, "role": arguments.role, "token": secret}))
    else:
        print(secret)
        print(
            f"This is shown once. The role is {arguments.role}. Use it as DEEPEVENT_TOKEN.", file=sys.stderr
        )
    return 0


def _seconds(text: str) -> float:
    """A length of time such as 30d, in seconds."""
    number, unit = text[:-1], _UNITS_S.get(text[-1:])
    if unit is None or not (number.isascii() and number.isdigit() and 0 < int(number) * unit <= LONGEST_S):
        raise SettingsError(f"--expires must be like 90m, 12h, 30d or 8w, at most 100 years, got {text!r}")
    return float(int(number) * unit)


def _who() -> str:
    """Who works on the store without a server, as the audit log shows it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        user = str(os.getuid())
    return f"command line of {user}"[:250]


def _rotate(db: Database, arguments: argparse.Namespace, _home: Path) -> int:
    from deepevent.store import access

    print(access.rotate(db, arguments.id, _who()))
    print("This is shown once. The old secret lets nobody in any more.", file=sys.stderr)
    return 0


def _list(db: Database, arguments: argparse.Namespace, _home: Path) -> int:
    from deepevent.store import access

    tokens = access.list_tokens(db)
    if arguments.json:
        print(json.dumps(tokens))
        return 0
    for token in tokens:
        state = "revoked" if token["revoked"] else _until(token["expires"])
        print(f"{token['id']:>5}  {token['kind']:<8} {token['role']:<9} {state:<18} {token['name']}")
    return 0


def _until(expires: float | None) -> str:
    if expires is None:
        return "valid"
    if expires < time.time():
        return "expired"
    return datetime.fromtimestamp(expires, UTC).strftime("to %Y-%m-%d %H:%M")


def _revoke(db: Database, arguments: argparse.Namespace, _home: Path) -> int:
    from deepevent.store import access

    if not any(token["id"] == arguments.id for token in access.list_tokens(db)):
        raise SettingsError(f"there is no token {arguments.id}; see: deepevent token list")
    access.revoke(db, arguments.id, actor=_who())
    return 0


def _link(db: Database, arguments: argparse.Namespace, home: Path) -> int:
    from deepevent.store import access
    from deepevent_web.sessions import CODE_S

    code = access.create_token(db, "sign-in", arguments.role, kind="code", expires_s=CODE_S, actor=_who())
    try:
        address = json.loads((home / SERVER_FILE).read_text())["url"]
    except (OSError, ValueError, KeyError):
        print("No server of this home is running. The code below works once one runs.", file=sys.stderr)
        address = "http://127.0.0.1:6060"
    print(f"{address}/signin#{code}")
    return 0


_ACTIONS = {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke, "link": _link}
