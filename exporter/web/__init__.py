"""What is served over HTTP. It only reads; the one thing it starts is a reload."""
