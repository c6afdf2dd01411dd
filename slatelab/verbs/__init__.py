"""The verbs of the command line. Each imports what it needs inside its function, so that `slatelab --help` is quick."""
