#!/bin/sh
# Make sure that a Chromium and a PostgreSQL server are there for the tests, and an nginx where one can be had:
# without it, the test of deploy/nginx.conf alone is skipped.
set -eu

find_postgres() { command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null | tail -n 1; }
find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
find_nginx() { PATH="$PATH:/usr/sbin" command -v nginx; }

missing=""
find_chromium >/dev/null || missing="$missing chromium"
[ -n "$(find_postgres)" ] || missing="$missing postgresql"
wanted="$missing"
find_nginx >/dev/null || wanted="$wanted nginx-light"
[ -n "$wanted" ] || exit 0

give_up() {
  if [ -z "$missing" ]; then
    echo "The test of deploy/nginx.conf will be skipped: $1." >&2
    exit 0
  fi
  echo "The tests need$missing, and $1: install it (on Debian: apt-get install$missing) and run make test again." >&2
  exit 1
}

as_root=""
if [ "$(id -u)" != 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo -n"; else
    give_up "there is no right to install it here"
  fi
fi
command -v apt-get >/dev/null || give_up "this system has no apt-get"
install() { DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
$as_root apt-get update -qq || give_up "apt-get could not ask for packages"
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
find_nginx >/dev/null || install nginx-light || echo "The test of deploy/nginx.conf will be skipped: nginx could not be installed." >&2
