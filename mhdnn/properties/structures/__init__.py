"""Structures of electrodes and electrolytes, built from cell parameters of the literature; no files needed."""
