"""What blocks promise and do: one value for each, and the signs that the two differ."""
