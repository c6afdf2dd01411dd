"""Intervals: how sure an estimate is, by several rules that ask for different things. `registry` names them."""
