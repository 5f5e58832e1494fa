#!/bin/sh
# Writes the whole state of Redis as of one moment to standard output, as an RDB file: Redis forks and sends its snapshot
# as to a replica, so the copy is consistent while patients write. It is checked before it leaves.
# Needs redis-cli and redis-check-rdb; called by deploy/backup.sh.
#   REDIS_HOST, REDIS_PORT, and the password in /run/secrets/REDIS_PASSWORD or REDISCLI_AUTH
set -eu
if [ -r /run/secrets/REDIS_PASSWORD ]; then
  REDISCLI_AUTH=$(cat /run/secrets/REDIS_PASSWORD)
  export REDISCLI_AUTH
fi
# By way of a file: to a pipe redis-cli would also write the mark that ends the stream.
file=$(mktemp)
trap 'rm -f "$file"' EXIT
redis-cli -h "${REDIS_HOST:-127.0.0.1}" -p "${REDIS_PORT:-6379}" --rdb "$file" > /dev/null
redis-check-rdb "$file" > /dev/null
cat "$file"
