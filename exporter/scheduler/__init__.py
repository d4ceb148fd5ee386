"""Who is read when: intervals, budget, backoff, and what becomes of each read."""
