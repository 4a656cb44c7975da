"""Model files, short-ranged and with charges, for other engines."""

import pytest

from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import charge_settings, model_settings, random_charge_potential, random_potential

ELEMENTS = [6, 14, 50]


@pytest.fixture(scope="session")
def short_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("interop") / "short.pt"
    save_model(random_potential(ELEMENTS), path, metadata_of(random_potential(ELEMENTS), model_settings(ELEMENTS), {}))
    return path


@pytest.fixture(scope="session")
def charge_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("interop") / "charges.pt"
    potential = random_charge_potential(ELEMENTS)
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS), {}))
    return path
