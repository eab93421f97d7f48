"""Reference networks built from :class:`torchskip.nn.Skip`."""
