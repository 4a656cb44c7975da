"""Models for other programs; each module needs the libraries of an extra of its own."""
