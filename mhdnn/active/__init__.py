"""Data that mend a model: which structures to compute next."""
