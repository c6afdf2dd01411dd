"""`python -m slatelab`: the same command, where the console script is not on the path."""

from __future__ import annotations

from slatelab.main import main

main()
