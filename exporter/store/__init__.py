"""The state that outlives the process: runs, counters, receipts of callbacks and stored targets."""
