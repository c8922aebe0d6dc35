"""Measure what the server costs, beside its floors: ``python -m benchmarks --help``."""

from .common.command import main

if __name__ == "__main__":
    main()
