"""Frozen types and pure functions: what a target, a task, a read and a run are."""
