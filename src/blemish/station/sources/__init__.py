"""Sources of a line: where parts come from, each once, also over the end and the start of the process."""
