#!/usr/bin/env bash
# Starts server and gateway on loopback, proves on real data that a backup can be taken, verified and restored, and stays in the
# foreground until Ctrl-C: run.sh BUILD. Settings come from the environment; what is not set gets a value that needs nothing else.
set -euo pipefail

bin=$(cd "$1/bin" && pwd)
cd "$(dirname "$0")/.."
export MOSAAJII_HOME=${MOSAAJII_HOME:-$PWD/var}
export MOSAAJII_LISTEN=${MOSAAJII_LISTEN:-127.0.0.1:50051}
export MOSAAJII_SERVER=${MOSAAJII_SERVER:-$MOSAAJII_LISTEN}
export MOSAAJII_GATEWAY_LISTEN=${MOSAAJII_GATEWAY_LISTEN:-127.0.0.1:8080}
mkdir -p -m 0700 "$MOSAAJII_HOME"

processes=()
seller=
stop_selling() {
  [ -z "$seller" ] || kill -TERM -- "-$seller" 2>/dev/null || true
  seller=
}
stop() {
  trap - INT TERM EXIT
  stop_selling
  # Newest first: the gateway before its server.
  for ((i = ${#processes[@]} - 1; i >= 0; i--)); do
    kill -TERM "${processes[i]}" 2>/dev/null || true
    wait "${processes[i]}" 2>/dev/null || true
  done
}
trap stop EXIT
trap 'echo; echo "Stopping."; stop; exit 0' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
  printf '\n$ %s\n' "$*"
  "$@"
}
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Without settings of their own, people see their first backup on data that every machine has: a directory of the system, and a small
# shop whose database is being written to while it is backed up.
shop=$MOSAAJII_HOME/demo/shop.db
if [ -z "${BACKUP_FILES_PATHS:-}${BACKUP_CONFIG_PATHS:-}${DATABASE_URL:-}" ]; then
  demo=yes
  export BACKUP_FILES_PATHS=/usr/share/doc DATABASE_URL=sqlite://$shop
  mkdir -p "${shop%/*}"
  sqlite3 "$shop" "PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS sales(id INTEGER PRIMARY KEY, at TEXT, cents INTEGER);
    CREATE TABLE IF NOT EXISTS stock_moves(sale INTEGER REFERENCES sales(id), item INTEGER, pieces INTEGER);" >/dev/null
fi

# A shop that sells all the time. A sale and its stock move belong together: a consistent copy holds both or neither.
sell() {
  while :; do
    echo "BEGIN; INSERT INTO sales(at, cents) VALUES (datetime('now'), abs(random() % 10000));
      INSERT INTO stock_moves VALUES (last_insert_rowid(), abs(random() % 500), 1); COMMIT;"
  done | sqlite3 -cmd '.timeout 5000' "$1" >/dev/null 2>&1
}
export -f sell

log=$MOSAAJII_HOME/server.log
# Ctrl-C reaches the whole foreground group; the programs are stopped by this script, in order.
setsid "$bin/mosaajii-server" 2>"$log" &
server=$!
processes+=("$server")
# The log is followed to the line that says that the server is ready, or until the server has ended.
if ! grep -m 1 -q 'event=ready' < <(timeout 60 tail -n +1 -F --pid="$server" -s 0.1 "$log" 2>/dev/null); then
  echo "The server did not start. The end of $log:" >&2
  tail -n 5 "$log" >&2
  exit 1
fi
gateway_line=
if [ -x "$bin/mosaajii-gateway" ]; then
  setsid "$bin/mosaajii-gateway" 2>"$MOSAAJII_HOME/gateway.log" &
  processes+=("$!")
  gateway_line="  REST and dashboard   http://$MOSAAJII_GATEWAY_LISTEN"
fi
export MOSAAJII_TOKEN_FILE=${MOSAAJII_TOKEN_FILE:-$MOSAAJII_HOME/admin.token}

if [ -n "${demo:-}" ]; then
  say "A first backup: $BACKUP_FILES_PATHS, and the database of a shop that goes on selling"
  setsid bash -c 'sell "$1"' sell "$shop" &
  seller=$!
else
  say "A first backup: everything that is configured"
fi
status=0
run "$bin/mosaajii" backup create --type FULL --name "first backup" --wait || status=$?
# 3: done with warnings, which have been printed.
[ "$status" = 0 ] || [ "$status" = 3 ] || exit 1

say "Verified: every object read back, every byte authenticated"
run "$bin/mosaajii" backup verify latest

say "Restored, beside the original"
target=${MOSAAJII_RESTORE_ROOTS:-$MOSAAJII_HOME/restore}
target=${target%%:*}/first-$(date +%Y%m%d-%H%M%S)
run "$bin/mosaajii" backup restore latest --target "$target" --wait || [ $? = 3 ]

if [ -n "${demo:-}" ]; then
  stop_selling
  say "Compared with the original"
  run diff -r --no-dereference "$BACKUP_FILES_PATHS" "$target$BACKUP_FILES_PATHS" && echo "no difference"
  run sqlite3 "$target/shop.db" "PRAGMA integrity_check; SELECT count(*) || ' sales, ' || (SELECT count(*) FROM stock_moves) || ' stock moves' FROM sales;"
  rm -rf "$target"
fi

say "Mosaajii Backup is ready."
cat <<END
  gRPC                 $MOSAAJII_LISTEN
${gateway_line:+$gateway_line
}  Token                $MOSAAJII_TOKEN_FILE
  State                $MOSAAJII_HOME

  export MOSAAJII_TOKEN_FILE=$MOSAAJII_TOKEN_FILE
  $bin/mosaajii backup list
  grpcurl -plaintext -H "authorization: Bearer \$(cat $MOSAAJII_TOKEN_FILE)" $MOSAAJII_LISTEN mosaajii.backup.v1.BackupService/ListBackups

Ctrl-C stops everything.
END
wait "$server"
