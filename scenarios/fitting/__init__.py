"""The parts of `scenarios.fit`: what a log shows, what tells which parameter, how they are met, how it is checked."""
