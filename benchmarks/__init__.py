"""How fast, how close to the limit, how large: each program here measures one thing against something run beside it."""
