#!/bin/sh
# Saves the state of the running system, in one command: Redis, and n8n's database where it runs. Nothing stops meanwhile.
#   deploy/backup.sh [FOLDER]        default: backups/ ; files older than KEEP_DAYS (14) are removed from it
# Every file is whole or not there. It holds patients' messages and numbers: keep it as you keep patients' files.
set -eu
folder=${1:-backups}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$(dirname "$0")/.."
umask 077
now=$(date -u +%Y%m%dT%H%M%SZ)
# shellcheck disable=SC2086 # two words
compose() { ${COMPOSE:-docker compose} "$@"; }

save() { # file, command...
  file=$1
  shift
  "$@" > "$file.part"
  [ -s "$file.part" ] || { echo "nothing was saved to $file" >&2; exit 1; }
  mv "$file.part" "$file"
  echo "saved $file ($(wc -c < "$file") bytes)"
}

save "$folder/redis-$now.rdb" compose --profile tools run --rm --no-deps -T backup
if [ -n "$(compose --profile n8n ps -q postgres 2> /dev/null)" ]; then
  save "$folder/n8n-$now.dump" compose --profile n8n exec -T postgres pg_dump -U n8n -d n8n --format=custom
fi
find "$folder" -maxdepth 1 -type f \( -name 'redis-*.rdb' -o -name 'n8n-*.dump' -o -name '*.part' \) \
  -mtime "+${KEEP_DAYS:-14}" -delete
