"""Estimators of ranked slates: prefixes, the pseudoinverse, a click model, and the models that fill their columns."""
