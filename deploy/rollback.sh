#!/bin/sh
# Goes back to the release before the last update, by the same steps: deploy/rollback.sh    or: make rollback
# Its images are still there, so nothing is built. It refuses, and says what to do, when the store has been migrated since:
# the former release would not understand it.
set -eu
cd "$(dirname "$0")/.."
state=${DEPLOY_STATE:-var/deploy}
env_file=${ENV_FILE:-.env}
# shellcheck disable=SC2086 # two words
compose() { ${COMPOSE:-docker compose} "$@"; }
fail() { echo "$*" >&2; exit 1; }
[ -s "$state/previous" ] || fail "no former release is known: deploy/update.sh notes it in $state/previous"
previous=$(cat "$state/previous")
present=$(sed -n 's/^VERSION=//p' "$env_file" | tail -n 1)
for image in canada-webhook canada-worker; do
  ${DOCKER:-docker} image inspect "$image:$previous" > /dev/null 2>&1 \
    || fail "the image $image:$previous is gone: check $previous out and run deploy/update.sh $previous"
done
if ! VERSION=$previous compose --profile tools run --rm --no-deps -T doctor python -m workers.migrate --check; then
  fail "$previous does not know the store as it is now, nothing was changed. To go back all the same, and lose what
happened since: VERSION=$previous in $env_file, docker compose up -d, deploy/restore.sh backups/redis-….rdb of before the update"
fi
echo "back from ${present:-latest} to $previous"
BUILD=0 exec deploy/update.sh "$previous"
