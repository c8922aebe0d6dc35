"""Plain vocabulary: errors, tables, callers, parameter types."""
