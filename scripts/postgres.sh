#!/usr/bin/env bash
# A PostgreSQL server of one's own, for the tests: in a new folder, on a socket there, gone afterwards.
#
#   scripts/postgres.sh run COMMAND…   runs the command with HONE_POSTGRES set to the server's DSN
#   scripts/postgres.sh start          prints the DSN
#   scripts/postgres.sh stop DSN       stops that server and removes its folder
#
# Debian's PostgreSQL is installed if there is none and this runs as root. The server loses its data when the
# machine crashes (fsync=off) and trusts whoever can enter its folder: it is for tests alone.
set -euo pipefail

programs() { # the folder of initdb and pg_ctl
  command -v pg_ctl >/dev/null && command -v initdb >/dev/null && { dirname "$(command -v pg_ctl)"; return; }
  # shellcheck disable=SC2012
  dirname "$(ls -d /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | sort -V | tail -1)"
}

install() {
  [ -x "$(programs)/pg_ctl" ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'postgres.sh: there is no PostgreSQL here; install it (Debian: apt-get install postgresql)' >&2
    exit 1
  fi
  { # without the cluster that the package would make
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql
  } >&2
}

as_owner() { # initdb and postgres refuse to run as root
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start() {
  install
  local dir bin
  bin=$(programs)
  dir=$(mktemp -d "${TMPDIR:-/tmp}/hone-postgres-XXXXXX")
  [ "$(id -u)" = 0 ] && chown postgres "$dir"
  cd "$dir"
  as_owner "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
  as_owner "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -s \
    -o "-k $dir -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=50" start >&2 || { cat "$dir/server.log" >&2; exit 1; }
  echo "postgres://postgres@/postgres?host=$dir"
}

stop() {
  local dir=${1##*host=}
  case $dir in */hone-postgres-??????) ;; *) echo "postgres.sh: $1 was not started by this script" >&2; exit 2 ;; esac
  cd /
  as_owner "$(programs)/pg_ctl" -D "$dir/data" -m immediate -s stop >&2 || true
  rm -rf "$dir"
}

case ${1:-} in
start) start ;;
stop) stop "${2:?the DSN}" ;;
run)
  shift
  HONE_POSTGRES=$(start)
  export HONE_POSTGRES
  trap 'stop "$HONE_POSTGRES"' EXIT
  "$@"
  ;;
*)
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
  ;;
esac
