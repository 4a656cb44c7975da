"""Each sample has every label that a row of `verified_labels` names for its format, and no other."""

import pytest

from mhdnn.data.readers import READERS, detect_format, read_frames
from mhdnn.structure import LABELS
from tests.unit.data.code_samples import CODE_SAMPLES
from tests.unit.data.samples import options_for
from tests.unit.data.verified_labels import ROWS


@pytest.mark.parametrize("form", CODE_SAMPLES)
def test_labels_are_those_that_were_verified(tmp_path, form):
    assert form in READERS
    source = CODE_SAMPLES[form](tmp_path)
    assert detect_format(source) == form
    structures = [frame().structure for frame in read_frames(source, options_for(form))]
    found = {label for label in LABELS for structure in structures if getattr(structure, label) is not None}
    assert found == {row.label for row in ROWS if row.format == form}
