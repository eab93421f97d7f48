"""What `check` runs a model for. Probes touch modules; rules only read what they found."""
