"""Where targets come from, and what becomes of all the lists together."""
