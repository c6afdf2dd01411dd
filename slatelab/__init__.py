"""The front door: the command `slatelab`, one small file a verb, no logic of its own."""
