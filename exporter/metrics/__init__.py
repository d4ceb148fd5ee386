"""Metric families, and the text of `/metrics`."""
