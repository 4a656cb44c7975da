"""Plain weights that no model has: every one is refused by its name, and none is read beyond its end."""

from pathlib import Path

import numpy as np
import pytest

from mhdnn.deploy.core_library import CoreError
from mhdnn.deploy.hdnnp.importing import import_potential
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import behler_settings, charge_settings, contracted_settings, random_charge_potential
from tests.core.plain import records_of, with_records
from tests.core.test_models import ELEMENTS, compare, model_with
from tests.hdnnp import OwnPotential
from tests.lammps.fitted import save_fitted_models
from tests.lammps.test_grades import give_errors
from tests.lammps.test_imported import water

KINDS = {
    "legendre": {},
    "contracted": contracted_settings(cutoff=3.8),
    "wide": {"angular": {"wide": behler_settings("wide")}},
    "narrow": {"angular": {"narrow": behler_settings("narrow")}},
    "per element": {"kind": "per_element"},
}
NAN, INFINITE = "has a number that is NaN or infinite", float("inf")


def filled(value):
    return lambda old: np.full_like(old, value)


def first(value):
    """Another first number."""

    def change(old):
        new = old.copy()
        new.flat[0] = value
        return new

    return change


def cut(old):
    return old[..., :-1]


def longer(old):
    return np.concatenate([old, old], -1)


def falling(old):
    return old[::-1]


CASES = [
    # a model as a whole
    ("legendre", "dtype", lambda _: "half", "`dtype` of its plain weights is half, expected float32 or float64"),
    ("legendre", "elements", lambda _: "", "`elements` of its plain weights names none"),
    ("legendre", "atomic_numbers", cut, "`atomic_numbers` .* another size than the elements"),
    ("legendre", "atomic_numbers", longer, "`atomic_numbers` .* another size than the elements"),
    ("legendre", "atomic_numbers", first(119), "has the number 119, expected 0 to 118"),
    ("legendre", "atomic_numbers", lambda old: old.astype(float), "are no integers"),
    ("legendre", "cutoff", filled(0.0), "`cutoff` .* not above zero"),
    ("legendre", "cutoff", filled(np.nan), NAN),
    ("legendre", "cutoff", lambda old: np.array([old, old]), "has 2 numbers, expected 1"),
    ("legendre", "energy.reference_energies", cut, "has 2 numbers, expected 3"),
    ("legendre", "scaling.function_mean", first(np.nan), NAN),
    ("legendre", "scaling.function_scale", first(INFINITE), NAN),
    ("legendre", "scaling.function_mean", cut, "has more functions than `scaling.function_mean`|numbers, expected"),
    # symmetry functions
    ("legendre", "descriptor.num_parts", filled(0), "is 0, expected 1 to"),
    ("legendre", "descriptor.num_parts", filled(3), "lack `descriptor.2.kind`"),
    ("legendre", "descriptor.num_parts", filled(2**32 + 2), "is 4294967298, expected 1 to 2147483647"),
    ("legendre", "descriptor.channels", cut, "has 6 numbers|has more functions|numbers, expected"),
    ("legendre", "descriptor.channels", lambda old: old[:, :0], "`descriptor.channels` of its plain weights has none"),
    ("legendre", "descriptor.channels", lambda old: old.ravel(), "has 1 axes, expected 2"),
    ("legendre", "descriptor.channels", lambda old: np.tile(old, 400), "has more functions than"),
    ("legendre", "descriptor.0.kind", lambda _: "round", "unknown kind of symmetry functions: round"),
    ("legendre", "descriptor.0.shifts", cut, "has 3 numbers, expected 4"),
    ("legendre", "descriptor.0.cutoff", filled(1e3), "`descriptor.0.cutoff` .* larger than the model's"),
    ("legendre", "descriptor.0.cutoff", filled(-1.0), "not above zero"),
    ("legendre", "descriptor.0.cutoff_function", lambda _: "steep", "expected cosine, .* got steep"),
    ("legendre", "descriptor.0.cutoff_function", lambda _: "cosine:nan", "expected an inner fraction"),
    ("legendre", "descriptor.1.max_degree", filled(21), "is 21, expected 0 to 20"),
    ("legendre", "descriptor.1.max_degree", filled(-1), "is -1, expected 0 to 20"),
    ("legendre", "descriptor.1.max_degree", filled(20), "has more functions than"),
    ("legendre", "descriptor.1.cross_terms", filled(7), "is 7, expected 0 to 1"),
    ("narrow", "descriptor.1.zetas", first(0), "expected powers of 1 to 1000000, and 1 or -1"),
    ("narrow", "descriptor.1.zetas", first(2**31 + 1), "expected powers of 1 to 1000000"),
    ("narrow", "descriptor.1.zetas", cut, r"\.zetas` .* and .lambdas: expected"),
    ("narrow", "descriptor.1.lambdas", first(2), "expected powers of 1 to 1000000, and 1 or -1"),
    ("narrow", "descriptor.1.radial_index", first(99), "has the number 99, expected 0 to"),
    ("narrow", "descriptor.1.radial_index", first(-1), "has the number -1, expected 0 to"),
    ("wide", "descriptor.1.coefficients", cut, "have another size than the functions"),
    ("wide", "descriptor.1.max_degree", filled(-1), "is -1, expected 0 to"),
    ("contracted", "descriptor.1.coefficients", cut, "another shape than its elements and radial functions"),
    ("contracted", "descriptor.1.coefficients", lambda old: old[:, :, :0], "another shape than its elements"),
    ("contracted", "descriptor.1.coefficients", lambda old: np.tile(old, (1, 1, 500, 1)), "has more functions than"),
    ("contracted", "descriptor.0.coefficients", lambda old: np.tile(old, (1, 1, 500, 1)), "has more functions than"),
    ("contracted", "descriptor.1.coefficients", lambda old: old[:, :2], "another shape than its elements"),
    ("contracted", "descriptor.1.etas", longer, "has 3 numbers, expected 6|another shape"),
    ("contracted", "descriptor.1.four_body_degree", filled(20), "is 20, expected 0 to"),
    ("contracted", "descriptor.1.four_body_densities", filled(99), "is 99, expected 0 to 3"),
    ("listed", "descriptor.0.num_functions", filled(-1), "is -1, expected 1 to"),
    ("listed", "descriptor.0.num_functions", filled(2**31 - 1), "has more functions than"),
    ("listed", "descriptor.0.0.columns", first(10**6), "has the number 1000000, expected 0 to"),
    ("listed", "descriptor.0.0.columns", cut, "has no number for each function"),
    ("listed", "descriptor.0.0.num_groups", filled(-1), "is -1, expected 0 to"),
    ("listed", "descriptor.0.0.0.kind", lambda _: "round", "is unknown: round"),
    ("listed", "descriptor.0.0.0.elements", cut, "another size than its functions"),
    ("listed", "descriptor.0.0.1.elements", lambda _: np.array([1, 0]), "has a pair in falling order"),
    ("listed", "descriptor.0.1.2.radial_index", falling, "is not ascending"),
    # networks
    ("legendre", "network.kind", lambda _: "loop", "unknown kind of network: loop"),
    ("legendre", "network.num_members", filled(0), "is 0, expected 1 to"),
    ("legendre", "network.num_members", filled(2), "lack `network.1.functions`"),
    ("legendre", "network.0.functions", lambda _: "", "expected layers that end with one number"),
    ("legendre", "network.0.0.weight", cut, "a first layer of another size"),
    ("legendre", "network.0.1.weight", cut, "doesn't fit to the layer before it"),
    ("legendre", "network.0.2.weight", lambda old: np.tile(old, (2, 1)), "layers that end with one number"),
    ("legendre", "network.0.0.weight", first(np.nan), NAN),
    ("legendre", "network.0.0.bias", cut, "has 7 numbers, expected 8"),
    ("legendre", "network.linear_weight", cut, "numbers, expected"),
    ("legendre", "network.species", longer, "a first layer of another size"),
    ("per element", "network.2.0.weight", cut, "a first layer of another size"),
    # ranges, errors, charges, repulsion
    ("legendre", "domain.function_range", cut, "numbers, expected"),
    ("legendre", "domain.count_range", first(np.nan), "`domain.count_range` .* has a number that is NaN"),
    ("legendre", "domain.share_range", cut, "numbers, expected"),
    ("legendre", "function.3", lambda _: None, "lack `function.3`"),
    ("charges", "uncertainty.landmarks", lambda old: old[:, :0], "`uncertainty.landmarks` .* has none"),
    ("charges", "uncertainty.axes", cut, "numbers, expected"),
    ("charges", "uncertainty.weights", cut, "has 3 numbers, expected 4"),
    ("charges", "charges.widths", first(0.0), "`charges.widths` .* not above zero"),
    ("charges", "charges.hardness", first(-1.0), "`charges.hardness` .* not above zero"),
    ("charges", "charges.charge_scale", filled(np.nan), NAN),
    ("charges", "charges.screens_self_terms", filled(5), "is 5, expected 0 to 1"),
    ("charges", "electronegativity.kind", lambda _: None, "lack `electronegativity.kind`"),
    ("repulsion", "charges.inner_radius", filled(9.0), "is not below the outer one"),
    ("repulsion", "repulsion.outer", cut, "has 6 numbers, expected 9"),
    ("repulsion", "repulsion.length", first(0.0), "not above zero"),
    ("repulsion", "repulsion.inner", first(9.0), "is not below the outer radius"),
    ("repulsion", "repulsion.decays", cut, "has 3 numbers, expected 4"),
]  # fmt: skip


def save_charges(path: Path) -> None:
    options = {"screening": {"inner": 0.8, "outer": 2.5}, "repulsion": {"inner": 0.5, "outer": 1.0}}
    potential = random_charge_potential(ELEMENTS, **options)
    potential.repulsion.inner.fill_(1.0)
    potential.repulsion.outer.fill_(2.0)
    save_model(potential, path, metadata_of(potential, charge_settings(ELEMENTS, **options), {}))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model file of each kind."""
    folder = tmp_path_factory.mktemp("models")
    result = {kind: model_with(folder / f"{kind}.pt", changes) for kind, changes in KINDS.items()}
    save_fitted_models(folder, give_errors)
    save_charges(folder / "repulsion.pt")
    listed = OwnPotential(charges=False, keywords={"scale_symmetry_functions": ""}).write(folder / "listed")
    import_potential(listed, folder / "listed.pt")
    return result | {kind: folder / f"{kind}.pt" for kind in ("charges", "repulsion", "listed")}


@pytest.mark.parametrize(("kind", "name", "change", "sentence"), CASES)
def test_what_is_out_of_bounds_is_refused(core, models, tmp_path, kind, name, change, sentence):
    records = records_of(models[kind])
    value = change(records.pop(name))
    if value is not None:
        records[name] = value if isinstance(value, str) else np.ascontiguousarray(value)
    path = with_records(models[kind], tmp_path, records)
    with pytest.raises(CoreError, match=sentence) as refusal:
        core.model(path)
    assert str(refusal.value).startswith(str(path)), "the file is not named"


@pytest.mark.parametrize("kind", [*KINDS, "charges", "repulsion", "listed"])
def test_the_same_weights_written_anew_are_read(core, models, tmp_path, kind):
    core.close(core.model(with_records(models[kind], tmp_path, records_of(models[kind]))))


def test_overflow_in_single_precision(core, models, tmp_path):
    records = records_of(models["legendre"])
    records["network.0.0.weight"] = first(1e300)(records["network.0.0.weight"])
    path = with_records(models["legendre"], tmp_path, records)
    core.close(core.model(path, "float64"))
    with pytest.raises(CoreError, match=f"`network.0.0.weight` of its plain weights {NAN}"):
        core.model(path, "float32")


def test_listed_functions_are_computed(core, models):
    """The file that the cases change is one that the core and torch agree on."""
    compare(core, models["listed"], water())
