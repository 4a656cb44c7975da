"""Screening of interfaces: every pair, ion and content of a plan, with one or several calculators."""
