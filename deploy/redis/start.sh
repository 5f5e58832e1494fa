#!/bin/sh
# The start of Redis' container: redis.conf and the password from its secret file, given by standard input, so that the
# password stands in no command line and in no environment.
set -eu
exec redis-server - << END
$(cat /etc/redis/redis.conf)
requirepass "$(cat /run/secrets/REDIS_PASSWORD)"
END
