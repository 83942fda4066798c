"""Grafana dashboards, built with Grafana's own SDK; `make dashboards` writes their JSON to `deploy/observability/grafana`."""
