"""Faults that publishing survives: counted, named, and injected at every layer from one storage call to the kernel."""
