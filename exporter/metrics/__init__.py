"""What is served: every family as one row of a table, and the text rendered from it."""
