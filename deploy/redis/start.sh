#!/bin/sh
# The start of Redis' container: redis.conf and the login, given by standard input, so that the password stands in no
# command line and in no environment. Redis gets its SHA-256, in which no sign can end the line.
#
# Webhook, worker, beat and Flower share one login. It reads and writes data and runs scripts; what would empty, stop,
# rewrite or copy the server is refused: FLUSHALL, FLUSHDB, KEYS, CONFIG, DEBUG, SHUTDOWN, MODULE, REPLICAOF, MIGRATE ...
# INFO is for the doctor and the operators' page, SYNC and PSYNC for the backup.
set -eu
password=$(printf %s "$(cat /run/secrets/REDIS_PASSWORD)" | sha256sum | cut -d ' ' -f 1)
exec redis-server - << END
$(cat /etc/redis/redis.conf)
user default on #$password ~* &* +@all -@admin -@dangerous -script|flush -script|kill +info +sync +psync +replconf
END
