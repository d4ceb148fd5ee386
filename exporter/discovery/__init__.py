"""Sources of targets, and the merge of their lists."""
