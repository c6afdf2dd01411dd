"""Bandit kernels on given features: tensors in, tensors out, on any device; no market, no catalogue, no policy.

Statistics are float64, scores float32 or what the features are. A leading axis A of the statistics is the arms of a
disjoint model, or as many independent runs side by side.
"""
