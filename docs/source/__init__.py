"""What makes docs/configuration.md: the models of the configuration, and the words that they have not."""
