"""Learning a ranking from what another ranking's log says about it, with the same estimators that judge policies."""
