"""One rule per file: documentation, check and message together."""
