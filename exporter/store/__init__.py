"""What must outlive the process, and its only writer: which runs were counted, and the counters."""
