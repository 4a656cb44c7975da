"""Crystals against the prototypes of AFLOW, as pymatgen brings them.

M. J. Mehl et al., Comput. Mater. Sci. 136, S1 (2017), https://doi.org/10.1016/j.commatsci.2017.01.017.
"""

from pathlib import Path

import pytest
from monty.serialization import loadfn
from pymatgen.analysis import prototypes
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from mhdnn.properties.structures.crystals import compound_crystal, element_crystal
from mhdnn.properties.structures.layers import dichalcogenide

MATCHER = StructureMatcher(scale=False, ltol=0.01, stol=0.1, angle_tol=0.5)


@pytest.fixture(scope="module")
def published():
    """Structures by their AFLOW label."""
    (file,) = Path(prototypes.__file__).parent.glob("**/aflow_prototypes.json*")
    return {entry["tags"]["aflow"]: entry["snl"].structure for entry in loadfn(file)}


@pytest.mark.parametrize(
    ("label", "crystal", "largest"),
    [
        ("A_oF128_70_4h", element_crystal("S"), 0.01),
        ("A_mP32_14_8e", element_crystal("monoclinic-Se"), 0.01),
        ("A_hP3_152_a", element_crystal("Se"), 0.01),
        ("A_tI4_141_a", element_crystal("Sn"), 0.01),
        ("A_hP4_194_bc", compound_crystal("graphite"), 0.03),
        ("AB2_hP6_194_c_f", dichalcogenide("MoS2", layers=2, bulk=True), 0.1),
    ],
)
def test_crystals_are_the_published_ones(label, crystal, largest, published):
    """Cells within 1 % and atoms within the largest distance, Å; graphite and MoS2 are those of other authors."""
    ours = AseAtomsAdaptor.get_structure(crystal)
    deviations = MATCHER.get_rms_dist(ours, published[label])
    assert deviations is not None
    spacing = (ours.volume / len(ours)) ** (1 / 3)  # the unit of the matcher's distances
    assert deviations[1] * spacing < largest
