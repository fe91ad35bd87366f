"""How fast the framework is, beside derivatives written by hand and beside its peers: ``python -m benchmarks``."""
