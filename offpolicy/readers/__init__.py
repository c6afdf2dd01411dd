"""Readers: logs of any make in, `offpolicy.evidence.Evidence` out, or a sentence that says what is wrong and where."""
