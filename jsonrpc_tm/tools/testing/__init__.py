"""What test suites of other projects can use."""
