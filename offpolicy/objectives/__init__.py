"""Questions beside the mean: quantiles and tails of what a row earns, several rewards, segments."""
