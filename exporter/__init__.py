"""webcast-exporter: the Prometheus exporter for Volcengine RTC WebCast (云录屏) tasks."""

__version__ = "0.2.0"

REVISION_VARIABLE = "WEBCAST_EXPORTER_REVISION"
"""Set in the image to the commit that it was built from."""
