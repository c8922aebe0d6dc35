"""Measure what the server costs, beside its floors: ``python -m benchmarks --help``."""

if __name__ == "__main__":
    # not when a load generator starts, which imports this module too
    from .common.command import main

    main()
