"""Slate policies trained by RLlib's new API stack. The only room of `policies` that imports Ray."""
