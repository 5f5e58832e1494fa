#!/bin/sh
# import.sh : credentials and the five workflows into n8n by its CLI; the first three are made live, 4 and 5 stay off.
# Run it with n8n on PATH and n8n's environment (n8n.env.example), before n8n starts: a running one needs a restart after.
# Repeated, it replaces the workflows. It ends with an error at the first warning.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export NODE_NO_WARNINGS=1 # Node's own, about n8n's PostgreSQL client, say nothing of our files

run() {
  n8n "$@" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
  # A new database is filled first; the names of n8n's own migrations hold any word.
  if grep -v -E '^((Starting|Finished) migration |\[)' "$log" | grep -i -E 'warn|error|deprecat|skip|invalid|violation|not found|could not' >&2; then
    echo "n8n $1: the warning above" >&2
    exit 1
  fi
  grep -E 'Successfully|Publishing' "$log" || true
}

run import:credentials --input="$here/credentials.json"
run import:workflow --separate --input="$here/workflows"
for id in canadaFallas0001 canadaEnvio00001 canadaEntrada001 ${PUBLISH_ALSO:-}; do
  run publish:workflow --id="$id"
done
