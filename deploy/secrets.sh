#!/bin/sh
# Makes deploy/secrets/SERVER_NAME/ with a file for each secret: random ones are filled in, the others are empty and to be
# filled by hand. What is there already stays. Run it again after an update: new secrets are added.
#   deploy/secrets.sh asistente.example.org              --rabbitmq: also the login of RabbitMQ as the broker
set -eu
name=${1:?usage: deploy/secrets.sh SERVER_NAME [--rabbitmq]}
cd "$(dirname "$0")/secrets"
mkdir -p "$name"
chmod 700 "$name" # the folder keeps others out; the files are read by containers under several users
cd "$name"
random() { od -An -N"${1:-24}" -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -s "$1" ] || { printf '%s\n' "$2" > "$1" && echo "made   $1"; }; }

put REDIS_PASSWORD "$(random)"
put PATIENT_ID_KEY "$(random 32)"
put ENCRYPTION_KEYS "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
put WHATSAPP_VERIFY_TOKEN "$(random)"
put CHAT_API_KEY "$(random)"
put OPS_BASIC_AUTH "centro:$(random 9)"
put FLOWER_BASIC_AUTH "centro:$(random 9)"
put POSTGRES_PASSWORD "$(random)"
put N8N_ENCRYPTION_KEY "$(random 32)"
put GRAFANA_PASSWORD "$(random 9)"
if [ "${2:-}" = --rabbitmq ] && ! [ -s RABBITMQ_LOGIN ]; then
  password=$(random)
  put RABBITMQ_LOGIN "$(printf 'default_user = assistant\ndefault_pass = %s' "$password")"
  put CELERY_BROKER_URL "amqp://assistant:$password@rabbitmq:5672//"
fi
for secret in WHATSAPP_ACCESS_TOKEN WHATSAPP_APP_SECRET SEGUIMIENTO_TOKEN SMTP_PASSWORD SLACK_WEBHOOK_URL HF_TOKEN \
  CELERY_BROKER_URL RABBITMQ_LOGIN; do
  [ -e "$secret" ] || : > "$secret"
  [ -s "$secret" ] || echo "empty  $secret"
done
chmod 444 ./*
