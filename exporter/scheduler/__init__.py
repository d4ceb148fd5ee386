"""When each target is read: intervals, budget, backoff; and the registry that each result is applied to."""
