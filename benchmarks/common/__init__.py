"""What measurements share: processes, load, floors, statistics and tables."""
