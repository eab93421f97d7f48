"""Check: rules over what a model does, each with its evidence, its documentation and its mends."""
