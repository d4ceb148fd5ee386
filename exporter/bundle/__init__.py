"""The bundled files for Grafana, Prometheus, Alertmanager and Kubernetes."""
