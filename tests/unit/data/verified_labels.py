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
    # aims
    Row(
        "aims",
        "energy",
        "-dE/dx: work of the forces in an MD equals the electronic free energy's change, not the corrected one's",
        "unit/data/codes/test_aims.py::TestLabels",
    ),
    Row(
        "aims",
        "forces",
        "-dE/dx of the free energy in an MD and a relaxation",
        "unit/data/codes/test_aims.py::TestLabels",
    ),
    Row(
        "aims",
        "stress",
        "dE/dε/V of the free energy; second print: its pressure",
        "unit/data/codes/test_aims.py::test_stress_is_the_gradient_with_respect_to_strain",
    ),
    Row(
        "aims",
        "charges",
        "by hand: e, cation positive; Hirshfeld before Mulliken",
        "unit/data/codes/test_aims.py::TestCharges",
    ),
    Row("aims", "total_charge", "by hand: `Charge =`", "unit/data/codes/test_aims.py::TestCharges"),
    # ase
    Row(
        "ase",
        "energy",
        "definition: eV, free energy where both are there",
        "unit/data/test_dialects.py::TestFreeEnergy",
    ),
    Row("ase", "forces", "by hand: eV/Å", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("ase", "stress", "by hand: eV/Å³, tension positive", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("ase", "charges", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("ase", "total_charge", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    # ase-db
    Row("ase-db", "energy", "by hand: eV", "unit/test_data_formats.py::TestOtherAseFormats"),
    Row("ase-db", "forces", "by hand: eV/Å", "unit/test_data_formats.py::TestOtherAseFormats"),
    Row(
        "ase-db", "stress", "by hand: eV/Å³, tension positive", "unit/data/test_samples.py::test_labels_of_every_sample"
    ),
    Row("ase-db", "charges", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("ase-db", "total_charge", "by hand: e", "unit/test_data_formats.py::TestOtherAseFormats"),
    # chargemol
    Row("chargemol", "charges", "by hand: e, sodium positive", "unit/data/test_sources.py::TestChargemol"),
    # cp2k
    Row(
        "cp2k",
        "energy",
        "-dE/dx: work of the forces in an MD of CP2K 2023.1; -TS included",
        "unit/data/codes/test_cp2k.py::TestTrajectories",
    ),
    Row(
        "cp2k",
        "forces",
        "-dE/dx in an MD of CP2K 2023.1; second print: `-frc-1.xyz`",
        "unit/data/codes/test_cp2k.py::TestTrajectories",
    ),
    Row(
        "cp2k",
        "stress",
        "dE/dε/V of two cells, CP2K 2023.1; kinetic part left out",
        "unit/data/codes/test_cp2k.py::TestSinglePoints",
    ),
    Row(
        "cp2k",
        "charges",
        "by hand: e, column of net charges with and without spins; Hirshfeld before Mulliken",
        "unit/data/codes/test_cp2k.py::TestCharges",
    ),
    Row("cp2k", "total_charge", "by hand: `DFT| Charge`", "unit/data/codes/test_cp2k.py::TestSinglePoints"),
    # deepmd
    Row("deepmd", "energy", "definition: eV", "unit/test_data_formats.py::TestDeepmd"),
    Row("deepmd", "forces", "definition: eV/Å", "unit/test_data_formats.py::TestDeepmd"),
    Row("deepmd", "stress", "definition: virial = -V σ, eV", "unit/test_data_formats.py::TestDeepmd"),
    # extxyz
    Row("extxyz", "energy", "definition: eV, or the unit that the file names", "unit/data/test_dialects.py::TestUnits"),
    Row(
        "extxyz", "forces", "definition: eV/Å, or the unit that the file names", "unit/data/test_dialects.py::TestUnits"
    ),
    Row("extxyz", "stress", "second print: stress and virial = -V σ", "unit/data/test_dialects.py::TestStress"),
    Row("extxyz", "charges", "by hand: e; numbers of electrons refused", "unit/data/test_charges.py::TestElectrons"),
    Row("extxyz", "total_charge", "by hand: e, contradictions refused", "unit/data/test_charges.py::TestTotalCharge"),
    # gpaw
    Row(
        "gpaw",
        "energy",
        "-dE/dx: work of the forces equals the free energy's change, GPAW 22.8 and 26.7",
        "unit/data/codes/test_gpaw.py::TestBothVersions",
    ),
    Row(
        "gpaw",
        "forces",
        "-dE/dx of the free energy, GPAW 22.8 and 26.7",
        "unit/data/codes/test_gpaw.py::TestBothVersions",
    ),
    Row(
        "gpaw",
        "stress",
        "dE/dε/V of two cells, GPAW 22.8",
        "unit/data/codes/test_gpaw.py::test_stress_is_the_gradient_with_respect_to_strain",
    ),
    Row("gpaw", "total_charge", "by hand: `Total Charge`", "unit/data/codes/test_gpaw.py::TestOthers"),
    # mhdnn
    Row("mhdnn", "energy", "by hand: eV", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("mhdnn", "forces", "by hand: eV/Å", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row(
        "mhdnn", "stress", "by hand: eV/Å³, tension positive", "unit/data/test_samples.py::test_labels_of_every_sample"
    ),
    Row("mhdnn", "charges", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    Row("mhdnn", "total_charge", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    # molecules
    Row(
        "molecules",
        "energy",
        "definition: unit of the attribute; all-electron",
        "unit/data/test_sources.py::TestMolecules",
    ),
    Row("molecules", "forces", "definition: -gradient, or forces", "unit/data/test_sources.py::TestMolecules"),
    Row("molecules", "charges", "by hand: e, oxygen negative", "unit/data/test_sources.py::TestMolecules"),
    Row("molecules", "total_charge", "by hand: e", "unit/data/test_samples.py::test_labels_of_every_sample"),
    # n2p2
    Row("n2p2", "energy", "by hand: Hartree or eV, as `--units` says", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "forces", "by hand: Hartree/bohr or eV/Å, as `--units` says", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "charges", "definition: e", "unit/test_data_formats.py::TestN2p2"),
    Row("n2p2", "total_charge", "definition: e", "unit/test_data_formats.py::TestN2p2"),
    # qe
    Row(
        "qe",
        "energy",
        "-dE/dx: work of the forces in an MD of pw.x 6.7 equals F's change, not E's",
        "unit/data/codes/test_quantum_espresso.py::TestDynamics",
    ),
    Row("qe", "forces", "-dE/dx of F in an MD of pw.x 6.7", "unit/data/codes/test_quantum_espresso.py::TestDynamics"),
    Row(
        "qe",
        "stress",
        "dE/dε/V of two cells, pw.x 6.7; second print: kbar and pressure",
        "unit/data/codes/test_quantum_espresso.py::TestDynamics",
    ),
    Row(
        "qe",
        "total_charge",
        "by hand: valence less number of electrons",
        "unit/data/codes/test_quantum_espresso.py::TestGeometry",
    ),
    # vasp-mlab
    Row(
        "vasp-mlab",
        "energy",
        "-dE/dx: work of the forces equals F's change",
        "unit/data/codes/test_vasp.py::TestLabels",
    ),
    Row("vasp-mlab", "forces", "-dE/dx of F", "unit/data/codes/test_vasp.py::TestLabels"),
    Row("vasp-mlab", "stress", "dE/dε/V of F, kbar, compression positive", "unit/data/codes/test_vasp.py::TestLabels"),
    # vasp-outcar
    Row(
        "vasp-outcar",
        "energy",
        "-dE/dx: work of the forces equals F's change, not E0's",
        "unit/data/codes/test_vasp.py::TestLabels",
    ),
    Row("vasp-outcar", "forces", "-dE/dx of F", "unit/data/codes/test_vasp.py::TestLabels"),
    Row(
        "vasp-outcar",
        "stress",
        "dE/dε/V of F; second print: eV of the cell, and the pressure",
        "unit/data/codes/test_vasp.py::TestOutcar",
    ),
    Row("vasp-outcar", "charges", "by hand: ZVAL less Bader's electrons", "unit/data/codes/test_vasp.py::TestBader"),
    Row("vasp-outcar", "total_charge", "by hand: ZVAL less NELECT", "unit/data/codes/test_vasp.py::TestOutcar"),
    # vasp-xml
    Row(
        "vasp-xml",
        "energy",
        "-dE/dx: work of the forces equals F's change, PSTRESS taken off",
        "unit/data/codes/test_vasp.py::TestLabels",
    ),
    Row("vasp-xml", "forces", "-dE/dx of F", "unit/data/codes/test_vasp.py::TestLabels"),
    Row("vasp-xml", "stress", "dE/dε/V of F, kB, compression positive", "unit/data/codes/test_vasp.py::TestLabels"),
    Row("vasp-xml", "charges", "by hand: valence less Bader's electrons", "unit/data/codes/test_vasp.py::TestBader"),
    Row("vasp-xml", "total_charge", "by hand: valence less NELECT", "unit/data/codes/test_vasp.py::TestOutcar"),
    # xsf
    Row("xsf", "energy", "definition: unit of the comment", "unit/data/test_dialects.py::TestAenet"),
    Row("xsf", "forces", "definition: eV/Å in aenet's files, else Hartree/Å", "unit/data/test_dialects.py::TestAenet"),
]
"""In blocks of one format each, so that several people can add to it."""
