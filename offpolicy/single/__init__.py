"""Single-action logs: one action a row, often with the probabilities of all of them.

    from offpolicy.single.arrays import SingleActionLog, evidence_of
    evidence = evidence_of(SingleActionLog(action=a, reward=r, propensity=p), target=probabilities)

`arrays` makes evidence from plain arrays; `reward`, `propensities`, `balance` and `embeddings` fill the columns that
some estimators need, each by models that never saw the row they speak of.
"""
