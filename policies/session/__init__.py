"""Session models: what a shopper is after now, read from the items that they clicked last."""
