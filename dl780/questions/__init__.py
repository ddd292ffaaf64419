"""The package's own labs: one module of questions each."""
