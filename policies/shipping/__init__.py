"""Shipping: a trained policy as a graph of ONNX, which a serving system runs without any of this code.

`policies.shipping.onnx_export` writes the graph and checks it against the policy, page by page; the other modules say
how each learner's score (`learners`) and each way to explore (`choices`) are computed in a graph.
"""
