"""policies: everything that ranks, and says how likely each ranking was.

Importing the package loads neither torch nor Ray; `policies.registry` knows the names and loads what is asked for.
"""
