"""What makes docs/configuration.md from the models of the configuration."""
