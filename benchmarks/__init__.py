"""What linkauth costs, as ratios to doing without, measured side by side in one run: ``python -m benchmarks``."""
