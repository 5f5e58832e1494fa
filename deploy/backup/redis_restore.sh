#!/bin/sh
# Puts an RDB file, read from standard input, in the place of Redis' data; Redis must be stopped. Called by restore.sh.
# The file is checked first. What was there before is kept beside it, in before-restore-TIME, until somebody removes it.
#   REDIS_DATA (/data), REDIS_HOST, REDIS_PORT
set -eu
data=${REDIS_DATA:-/data}
# Where the container is stopped its name leads nowhere, and asking for it can take a minute: hence the bound.
said=$(timeout 5 redis-cli -h "${REDIS_HOST:-127.0.0.1}" -p "${REDIS_PORT:-6379}" ping 2>&1 || true)
case $said in
'' | 'Could not connect'*) ;;
*)
  echo "Redis answers: stop it first" >&2
  exit 1
  ;;
esac
mkdir -p "$data"
cd "$data"
rm -rf restoring
mkdir -p restoring/appendonlydir
# The file becomes the base of an append-only file: started with `appendonly yes`, Redis reads nothing else.
cat > restoring/appendonlydir/appendonly.aof.1.base.rdb
if ! redis-check-rdb restoring/appendonlydir/appendonly.aof.1.base.rdb > restoring/check.log 2>&1; then
  echo "this is no whole backup; nothing was changed" >&2
  tail -n 3 restoring/check.log >&2
  rm -rf restoring
  exit 1
fi
echo "file appendonly.aof.1.base.rdb seq 1 type b" > restoring/appendonlydir/appendonly.aof.manifest
before="before-restore-$(date -u +%Y%m%dT%H%M%SZ)"
mkdir "$before"
for part in appendonlydir dump.rdb; do
  if [ -e "$part" ]; then mv "$part" "$before/"; fi
done
mv restoring/appendonlydir appendonlydir
rm -rf restoring
echo "restored; the former state is in $data/$before"
