"""The tables of all families. To add a metric, add a row to the table it belongs to."""
