"""The file catalog: its interface and the built-in one."""
