"""The configuration file and the web config file: read, checked all at once, and typed (docs/configuration.md)."""
