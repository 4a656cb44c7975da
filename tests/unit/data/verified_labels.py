"""How the sign, the unit and the kind of each label of each format were verified.

One `Row` for each format (a key of `mhdnn.data.readers.READERS`) and label (of `mhdnn.structure.LABELS`) that its
reader gives. Whoever adds a reader, or a label to one, adds the row here, and a minimal source with all its labels to
`samples.py`; `test_verified_labels.py` fails for a label without a row, and writes the table of `data/FORMATS.md`.

`how` is what stands against the reader, in a few words, of these kinds: "-dE/dx of ..." (energies of the same program
at displaced atoms), "dE/dε/V of ...", "second print: ..." (the program prints the number twice, in other units or
places), "definition: ..." (the format's own documentation), "by hand: ..." (a number of the test). `test` names the
test that holds it, as `file::test`, relative to tests/.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """How one label of one format was verified.

    :param format: a key of `READERS`
    :param label: one of `LABELS`
    :param how: what it was compared with
    :param test: the test that does so, ``file::test`` relative to tests/
    """

    format: str
    label: str
    how: str
    test: str


ROWS: list[Row] = [
    # cp2k
    Row("cp2k", "energy", "by hand: Hartree", "unit/test_data_formats.py::TestCp2k"),
    Row("cp2k", "forces", "by hand: Hartree/bohr", "unit/test_data_formats.py::TestCp2k"),
    Row("cp2k", "stress", "by hand: GPa and bar, compression positive", "unit/test_data_formats.py::TestCp2k"),
    Row("cp2k", "total_charge", "by hand: `DFT| Charge`", "unit/test_data_formats.py::TestCp2k"),
    # deepmd
    Row("deepmd", "energy", "definition: eV", "unit/test_data_formats.py::TestDeepmd"),
    Row("deepmd", "forces", "definition: eV/Å", "unit/test_data_formats.py::TestDeepmd"),
    Row("deepmd", "stress", "definition: virial = -V σ, eV", "unit/test_data_formats.py::TestDeepmd"),
    # n2p2
    Row("n2p2", "energy", "by hand: Hartree or eV, as `--units` says", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "forces", "by hand: Hartree/bohr or eV/Å, as `--units` says", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "charges", "definition: e", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "total_charge", "definition: e", "unit/test_data_formats.py::TestN2p2"),
    # vasp-xml
    Row("vasp-xml", "energy", "by hand: free energy, eV", "unit/test_data_formats.py::TestOtherAseFormats"),
    Row("vasp-xml", "forces", "by hand: eV/Å", "unit/test_data_formats.py::TestOtherAseFormats"),
    Row("vasp-xml", "stress", "by hand: kB, compression positive", "unit/test_data_formats.py::TestOtherAseFormats"),
]
"""In blocks of one format each, so that several people can add to it."""
