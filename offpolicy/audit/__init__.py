"""The audit of a log: what its own columns say about whether weights made from them mean anything."""
