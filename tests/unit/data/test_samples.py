"""Every format of `mhdnn.data.formats` gives the labels that were written into its sample by hand."""

import numpy as np
import pytest

from mhdnn.data.readers import detect_format, read_frames
from tests.unit.data import format_samples as written
from tests.unit.data.format_samples import FORMAT_SAMPLES
from tests.unit.data.samples import options_for

WITHOUT = {
    "xsf": {"stress", "charges", "total_charge"},
    "chargemol": {"energy", "forces", "stress", "total_charge"},
    "n2p2": {"stress"},
    "deepmd": {"charges", "total_charge"},
    "molecules": {"stress"},
}
EXACT = {"rtol": 1e-12, "atol": 1e-14}


@pytest.mark.parametrize("form", FORMAT_SAMPLES)
def test_labels_of_every_sample(tmp_path, form):
    source = FORMAT_SAMPLES[form](tmp_path)
    assert detect_format(source) == form
    structures = [frame().structure for frame in read_frames(source, options_for(form))]
    assert len(structures) == (1 if form in ("xsf", "chargemol") else 2)
    missing = WITHOUT.get(form, set())
    for frame, structure in enumerate(structures):
        assert structure.atomic_numbers.tolist() == [11, 17]
        np.testing.assert_allclose(structure.positions, written.POSITIONS + 0.01 * frame, **EXACT)
        if form != "molecules":
            np.testing.assert_allclose(structure.cell, written.CELL, **EXACT)
        expected = {"energy": written.ENERGIES[frame], "forces": written.FORCES, "stress": written.STRESS}
        expected |= {"charges": written.CHARGES, "total_charge": 0.0}
        for label, value in expected.items():
            if label in missing:
                assert getattr(structure, label) is None
            else:
                np.testing.assert_allclose(getattr(structure, label), value, **EXACT)
