"""The methods, one file a topic."""
