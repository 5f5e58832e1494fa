#!/bin/sh
# The start of nginx's container: the image's own entrypoint, and once an hour a look for a renewed certificate.
set -eu
seen=$(cksum /etc/nginx/certificates/*.pem)
while sleep 3600; do
  now=$(cksum /etc/nginx/certificates/*.pem)
  [ "$now" = "$seen" ] || nginx -s reload
  seen=$now
done &
exec /docker-entrypoint.sh nginx -g 'daemon off;'
