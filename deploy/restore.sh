#!/bin/sh
# Puts a backup back, in one command: stops what uses the state, restores, starts again.
#   deploy/restore.sh backups/redis-20261126T030000Z.rdb       the state of the assistant
#   deploy/restore.sh backups/n8n-20261126T030000Z.dump        n8n's database (postgres must run)
# What happened since the backup is forgotten: patients may be answered or reminded a second time (docs/running.md).
set -eu
file=${1:?usage: deploy/restore.sh FILE}
[ -s "$file" ] || { echo "$file is empty or not there" >&2; exit 1; }
file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")
cd "$(dirname "$0")/.."
# shellcheck disable=SC2086 # two words
compose() { ${COMPOSE:-docker compose} "$@"; }

case $(basename "$file") in
redis-*.rdb)
  compose stop worker beat webhook flower redis
  status=0
  compose --profile tools run --rm --no-deps -T restore < "$file" || status=$?
  compose start redis # with the former state, should the backup have been refused
  compose start webhook worker beat flower
  exit "$status"
  ;;
n8n-*.dump)
  compose --profile n8n stop n8n
  compose --profile n8n exec -T postgres pg_restore -U n8n -d n8n --clean --if-exists --no-owner --single-transaction < "$file"
  compose --profile n8n start n8n
  ;;
*)
  echo "a backup is named redis-….rdb or n8n-….dump" >&2
  exit 1
  ;;
esac
