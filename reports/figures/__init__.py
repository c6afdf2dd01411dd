"""One file a figure: a function from tables to a matplotlib figure, and one that says in words what it shows."""
