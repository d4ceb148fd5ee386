"""webcast-exporter: the Prometheus exporter for Volcengine RTC WebCast (云录屏) tasks."""

__version__ = "0.2.0"
