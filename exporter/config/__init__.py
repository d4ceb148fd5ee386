"""The configuration file (contract, section 2): read, checked all at once, and typed."""
