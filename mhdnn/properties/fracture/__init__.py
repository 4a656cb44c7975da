"""Strength of crystals, layers and interfaces: pulled and sheared to failure, cleaved, and with a crack."""
