"""Real markets: shoppers, queries and products from a user's own files instead of invented ones.

A folder with `market.toml` (see `simenv.real.mapping`) is a world like any other: give the file's path where the name
of a world is wanted. Only this package loads scikit-learn and scipy, and only when a market is built.
"""
