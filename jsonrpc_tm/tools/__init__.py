"""What is built on the server: harness, replay, demo, adoption, fixtures; ``serve`` imports none of it."""
