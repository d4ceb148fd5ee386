"""HTTP: server, access, metrics, callbacks, JSON API and pages."""
