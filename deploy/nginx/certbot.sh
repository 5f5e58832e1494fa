#!/bin/sh
# Gets the certificate from Let's Encrypt and renews it, for ever; in the container of the profile `certbot`.
# nginx answers the challenge from the shared folder /var/www/acme and looks for a new certificate each hour.
set -eu
# shellcheck disable=SC2016 # certbot's shell puts the value in
copy='cp -L "$RENEWED_LINEAGE/fullchain.pem" /certificates/fullchain.pem && cp -L "$RENEWED_LINEAGE/privkey.pem" /certificates/privkey.pem'
set -- -d "$SERVER_NAME"
[ -z "${N8N_HOST:-}" ] || set -- "$@" -d "$N8N_HOST"
if [ -n "${CERTBOT_EMAIL:-}" ]; then set -- "$@" --email "$CERTBOT_EMAIL"; else set -- "$@" --register-unsafely-without-email; fi
umask 077
trap exit TERM
while :; do
  # Asks only when there is none yet, a name was added, or the present one ends within a month.
  certbot certonly --webroot -w /var/www/acme --non-interactive --agree-tos --keep-until-expiring --expand \
    --cert-name assistant "$@" --deploy-hook "$copy" || echo "certbot failed; it is tried again in 12 hours" >&2
  sleep 12h &
  wait $!
done
