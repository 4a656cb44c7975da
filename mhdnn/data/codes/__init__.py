"""Outputs of DFT codes, one module for each kind of file.

Each has ``frames(path, options)``, which gives one function per structure. Common to all:

- The energy is the one whose derivative the forces are: with smearing the free energy F = E - TS.
  ``--energy-key energy`` takes the energy extrapolated to zero width instead, from codes that print it.
- A frame whose electrons did not converge raises `UnconvergedError`.
- Units are those that the file names.
- A source that is cut gives its complete structures, then an error; one without any gives an error.
"""
