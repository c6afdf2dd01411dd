"""The sections of a page: which tables make which figure, and what a reader is told about it."""
