"""Logs of any size: what is a sum is summed part by part, on one machine or many, and merged."""
