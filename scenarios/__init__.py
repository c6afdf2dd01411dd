"""scenarios: named experiments on worlds; running them, joining policies to logs, sweeps, speed."""
