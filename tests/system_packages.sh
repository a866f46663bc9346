#!/bin/sh
# Make sure that a Chromium and a PostgreSQL server are there for the tests.
set -eu

find_postgres() { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -n 1; }
find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

missing=""
find_chromium >/dev/null || missing="$missing chromium"
[ -n "$(find_postgres)" ] || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    echo "The tests need$missing: install it (on Debian: apt-get install$missing) and run make test again." >&2
    exit 1
  fi
fi
command -v apt-get >/dev/null || { echo "The tests need$missing, and this system has no apt-get: install it and run make test again." >&2; exit 1; }
$as_root apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
