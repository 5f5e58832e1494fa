#!/bin/sh
# Replaces the running release by the one that is checked out, without losing a message (docs/running.md):
#   deploy/update.sh v0.2.0          or: make deploy TAG=v0.2.0
# Build, migrate, new workers beside the old ones, webhook replicas one by one, the rest, doctor. Patients are answered
# meanwhile; only a migration that says so stops the workers for its seconds. What went before is kept for rollback.sh.
#   BESIDE=0    too little memory for old and new workers at a time: stop the old ones first
#   BUILD=0     the images are there already (rollback.sh; or loaded from elsewhere)
# SERVER_NAME and the other variables of Compose come from .env; COMPOSE and DOCKER name the programs.
set -eu
tag=${1:?usage: deploy/update.sh TAG}
cd "$(dirname "$0")/.."
state=${DEPLOY_STATE:-var/deploy}
env_file=${ENV_FILE:-.env}
health_s=${HEALTH_S:-900}
# shellcheck disable=SC2086 # two words
compose() { ${COMPOSE:-docker compose} "$@"; }
docker_() { ${DOCKER:-docker} "$@"; }
say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() { echo "$*" >&2; exit 1; }
running() { compose ps -q "$1" 2> /dev/null || true; }
# shellcheck disable=SC2086 # words
count() { set -- $1; echo $#; }

# --- Before anything changes ------------------------------------------------------------------------------------------
[ -f "$env_file" ] || fail "there is no $env_file: this is for a server that is set up (docs/running.md)"
grep -q '^SERVER_NAME=.' "$env_file" || fail "$env_file names no SERVER_NAME: the demo is started anew instead"
previous=$(sed -n 's/^VERSION=//p' "$env_file" | tail -n 1)
previous=${previous:-latest}
export VERSION="$tag" # wins over .env
problem=$(compose config -q 2>&1) || fail "compose.yaml or .env is wrong, nothing was changed: $problem"
[ -n "$(running redis)" ] || fail "Redis does not run: start the system first (docker compose up -d --wait)"
say "update from $previous to $tag"

if [ "${BUILD:-1}" = 1 ]; then
  say "build"
  compose build
fi

# --- The store --------------------------------------------------------------------------------------------------------
tool() { compose --profile tools run --rm --no-deps -T doctor python -m workers.migrate "$@"; }
status=0
tool --check || status=$?
case $status in
0) migration=none ;;
1) migration=beside ;;
3) migration=alone ;;
78) fail "the store belongs to a newer release: nothing was changed (docs/running.md, Updating and rolling back)" ;;
*) fail "whether the store has to be migrated could not be found out (code $status): nothing was changed" ;;
esac
mkdir -p "$state"
# How many there are of each, as they were before an update that broke off and is run again.
if ! [ -s "$state/scale" ]; then
  for service in worker worker-gpu webhook; do
    n=$(count "$(running "$service")")
    [ "$n" -eq 0 ] || echo "$service $n"
  done > "$state/scale"
fi
scale_of() { sed -n "s/^$1 //p" "$state/scale"; }
workers=$(sed -n 's/^\(worker[a-z-]*\) .*/\1/p' "$state/scale")
workers=${workers:-worker}
[ "$tag" = "$previous" ] || printf '%s\n' "$previous" > "$state/previous"
if [ "$migration" != none ]; then
  say "backup before the migration"
  deploy/backup.sh
  if [ "$migration" = alone ]; then
    say "the workers stop for the migration; messages are taken meanwhile"
    # shellcheck disable=SC2086 # words
    compose rm -fs $workers
  fi
  say "migrate"
  tool || fail "the migration did not end well: run this again, or deploy/rollback.sh"
fi

# --- One service after the other, new beside old ----------------------------------------------------------------------
wait_until_healthy() { # service, ids of containers
  service=$1
  shift
  deadline=$(($(date +%s) + health_s))
  for id in "$@"; do
    while :; do
      health=$(docker_ inspect -f '{{.State.Status}} {{.State.Health.Status}}' "$id")
      case $health in
      "running healthy") break ;;
      running*) ;;
      *) fail "a new $service ended ($health): docker logs $id; then deploy/rollback.sh" ;;
      esac
      [ "$(date +%s)" -lt "$deadline" ] || fail "a new $service is not healthy: docker logs $id; then deploy/rollback.sh"
      sleep "${PAUSE_S:-2}"
    done
  done
}

retire() { # ids of containers: SIGTERM, and as long as the longest stop_grace_period
  for id in "$@"; do
    docker_ stop -t 90 "$id" > /dev/null
    docker_ rm "$id" > /dev/null
  done
}

replace() { # service: each new one healthy before an old one ends
  n=$(scale_of "$1")
  n=${n:-1}
  old=$(running "$1")
  say "$1: $n new beside $(count "$old") old"
  compose up -d --no-deps --no-recreate --scale "$1=$((n + $(count "$old")))" "$1"
  new=$(running "$1")
  for id in $old; do new=$(printf '%s\n' "$new" | grep -vxF "$id" || true); done
  # shellcheck disable=SC2086 # words
  wait_until_healthy "$1" $new
  for id in $old; do
    retire "$id"
    say "$1: one replaced"
  done
}

# Those that ended by themselves would be started again beside the new ones.
# shellcheck disable=SC2086 # words
compose rm -f $workers webhook
if [ "${BESIDE:-1}" = 0 ]; then
  say "the old workers stop first"
  # shellcheck disable=SC2086 # words
  compose rm -fs $workers
fi
scales=
for service in $workers webhook; do
  replace "$service"
  scales="$scales --scale $service=$(count "$(running "$service")")"
done
case " $workers " in
*" worker "*) ;;
*) scales="$scales --scale worker=0" ;; # only workers with a GPU
esac
say "beat, Flower and whatever else has changed"
# shellcheck disable=SC2086 # words
compose up -d --wait $scales

# --- From now on this is the release -----------------------------------------------------------------------------------
kept=$(mktemp)
grep -v '^VERSION=' "$env_file" > "$kept" || true
printf 'VERSION=%s\n' "$tag" >> "$kept"
cat "$kept" > "$env_file" # keeps its owner and rights
rm -f "$kept" "$state/scale"
say "doctor"
status=0
compose --profile tools run --rm --no-deps -T doctor || status=$?
case $status in
0) say "done: $tag runs" ;;
2) say "done: $tag runs; see the warnings above" ;;
*) fail "$tag runs, and the doctor found something wrong (above): mend it, or deploy/rollback.sh" ;;
esac
