"""A simulated vendor API: signed, rate-limited, with tasks that run and callbacks; for the demo and the tests."""
