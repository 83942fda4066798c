#!/usr/bin/env bash
# Prometheus and Alertmanager on loopback, beside a server on the same machine: `make observability`. Ctrl-C stops both.
#   AVB_DATA_DIR                         the server's data folder (default: var of this checkout); their own data is in its `observability`
#   AVB_TARGETS_DIR                      as for the server, if it is set there
#   PROMETHEUS_PORT, ALERTMANAGER_PORT   9090 and 9093
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
data=$(realpath -m "${AVB_DATA_DIR:-$here/../../var}")
targets=$(realpath -m "${AVB_TARGETS_DIR:-$data/targets}")
prometheus_port=${PROMETHEUS_PORT:-9090}
alertmanager_port=${ALERTMANAGER_PORT:-9093}

program() { # the first of these that is installed
  for name in "$@"; do
    if command -v "$name"; then return; fi
  done
  echo "$1 is not installed. On Debian or Ubuntu: apt-get install prometheus prometheus-alertmanager" >&2
  exit 1
}
prometheus=$(program prometheus)
alertmanager=$(program prometheus-alertmanager alertmanager) # Debian's name, then that of its makers

# The configuration names the places of a checkout; here are those of this start.
own=$data/observability
mkdir -p "$own"
literal() { printf %s "$1" | sed 's/[&|\\]/\\&/g'; } # for the right side of `s|…|…|`
sed -e "s|\"../../../var/targets/|\"$(literal "$targets")/|" -e "s|rules/\*.yml|$(literal "$here")/prometheus/rules/*.yml|" \
  -e "s|127.0.0.1:9090|127.0.0.1:$prometheus_port|; s|127.0.0.1:9093|127.0.0.1:$alertmanager_port|" \
  "$here/prometheus/prometheus.yml" >"$own/prometheus.yml"

"$alertmanager" --config.file="$here/alertmanager/alertmanager.yml" --storage.path="$own/alertmanager" \
  --web.listen-address="127.0.0.1:$alertmanager_port" --cluster.listen-address= --log.level=warn &
alertmanager_pid=$!
"$prometheus" --config.file="$own/prometheus.yml" --storage.tsdb.path="$own/prometheus" --storage.tsdb.retention.time=7d \
  --enable-feature=exemplar-storage --web.listen-address="127.0.0.1:$prometheus_port" --log.level=warn &
prometheus_pid=$!
trap 'kill "$prometheus_pid" "$alertmanager_pid" 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM
echo "Prometheus:    http://127.0.0.1:$prometheus_port   (alerts: /alerts, what it scrapes: /targets)"
echo "Alertmanager:  http://127.0.0.1:$alertmanager_port"
echo "Ctrl-C stops both. Their data is in $own."
wait -n # when one ends, so does the other
echo "One of them has ended; its last lines are above." >&2
exit 1
