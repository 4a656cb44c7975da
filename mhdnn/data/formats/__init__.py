"""Readers of datasets that other programs write: each gives one function per structure."""
