"""What travels with the exporter for Grafana, Prometheus, Alertmanager and Kubernetes."""
