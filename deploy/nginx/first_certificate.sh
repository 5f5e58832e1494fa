#!/bin/sh
# Runs once before nginx: without a certificate nginx does not start, and without nginx no certificate can be asked for.
# Makes one that is signed by itself, for the demo and for the minutes until certbot's is there. What is there stays.
#   first_certificate.sh NAME...              (in the container: docker compose run --rm certificate)
#   first_certificate.sh client-ca < CA.pem   puts in Meta's CA for META_CLIENT_CERTIFICATE=optional
set -eu
folder=${CERTIFICATES:-/certificates}
cd "$folder"
if [ "${1:-}" = client-ca ]; then
  cat > client-ca.new
  openssl x509 -in client-ca.new -noout -subject -enddate
  mv client-ca.new client-ca.pem
  exit 0
fi
if ! [ -s fullchain.pem ] || ! [ -s privkey.pem ]; then
  names=$(printf 'DNS:%s,' "$@")
  umask 077
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$1" \
    -addext "subjectAltName=${names%,}" -keyout privkey.new -out fullchain.new 2> /dev/null
  mv privkey.new privkey.pem
  mv fullchain.new fullchain.pem
  echo "made a certificate for $* that is signed by itself"
fi
[ -s client-ca.pem ] || cp fullchain.pem client-ca.pem # a stand-in: nginx reads the file even when it is not used
