"""Counted bad inputs: every one is named, has its expected outcome, and is run through the whole pipeline."""
