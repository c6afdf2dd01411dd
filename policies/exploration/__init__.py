"""Exploration as a piece of its own: from what a scorer believes to how likely each candidate is chosen.

A scheme (`policies.exploration.registry.EXPLORATIONS`) reads `Estimates` and returns exact probabilities of one choice,
as logarithms. Slates follow in one of two ways: a `RankingPolicy` with that scheme takes the probabilities as
Plackett-Luce weights, and a `SlotwisePolicy` asks the scheme anew at every slot.
"""
