"""What is served over HTTP. It reads, and hands in what is asked for: a reload, a change of the pushed targets."""
