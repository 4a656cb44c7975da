"""High-dimensional neural network potentials of n2p2 and RuNNer as model files."""
