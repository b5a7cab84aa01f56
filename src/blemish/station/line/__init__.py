"""The LINE process: parts from a source or a socket are inspected, recorded, and then answered."""
