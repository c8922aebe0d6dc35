"""What may happen to transformations, files and tasks; the only room that writes their tables."""
