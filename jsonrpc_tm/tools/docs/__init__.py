"""The methods described in words: the reference page and the command ``methods``."""
