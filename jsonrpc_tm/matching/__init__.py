"""Meta queries, and matching many files with many of them."""
