"""The file catalog: its interface, the built-in one, and none."""
