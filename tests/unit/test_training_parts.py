"""Loss, reference energies, scaling and ridge regression against values worked out another way."""

import numpy as np
import pytest
import torch
from ase import Atoms
from torch.optim.swa_utils import AveragedModel

from mhdnn.errors import DataError
from mhdnn.factory import build_potential
from mhdnn.prediction import Prediction, SeenAtoms, predict, predict_charges
from mhdnn.training.callbacks import MovingAverage
from mhdnn.training.initialization import fit_linear, fit_reference_energies, fit_scaling
from mhdnn.training.least_squares import PENALTIES, GramEquations, NormalEquations, choose_penalty
from mhdnn.training.loss import Loss, Ramp
from mhdnn.training.optimization import parameter_groups, warmup_cosine
from mhdnn.training.ridge import ElementBasis, StructureFeatures, fit_linear_part, refit_energies, weighted_equations
from mhdnn.training.stages import ChargeStage
from tests.builders import (
    batch_of,
    charge_settings,
    contracted_settings,
    geometry_of,
    labelled_batch,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)

ELEMENTS = [6, 14, 50]


def test_reference_energies():
    composition = np.array([[1, 0], [2, 3], [0, 4], [5, 5]])
    energies = composition @ np.array([-3.0, 7.0])
    np.testing.assert_allclose(fit_reference_energies(composition, energies), [-3.0, 7.0])
    energies[1] = np.nan
    np.testing.assert_allclose(fit_reference_energies(composition, energies), [-3.0, 7.0])


def test_reference_energies_of_one_composition_share_the_energy():
    solution = fit_reference_energies(np.array([[1, 1], [2, 2]]), np.array([-4.0, -8.0]))
    np.testing.assert_allclose(solution, [-2.0, -2.0])


def test_reference_energies_need_an_energy():
    with pytest.raises(DataError, match="energy"):
        fit_reference_energies(np.ones((2, 1)), np.full(2, np.nan))


def test_scaling_is_that_of_all_atoms():
    potential = random_potential(ELEMENTS)
    many = list(structures().values())
    potential.function_mean.zero_()
    potential.function_scale.fill_(1.0)
    raw = SeenAtoms(potential, geometry_of(*many)).functions.detach().numpy()
    fit_scaling(potential, [batch_of(*many[:2]), batch_of(*many[2:])])
    np.testing.assert_allclose(potential.function_mean, raw.mean(0), atol=1e-12)
    varying = raw.std(0) > 1e-6 * raw.std(0).max()
    np.testing.assert_allclose(potential.function_scale[varying], 1 / raw.std(0)[varying], rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_are_dropped_for_lack_of_spread_against_their_own_round_off(dtype):
    """Straight trimers: functions of λ = +1 are zero but for round-off; all others vary, some of them by less than
    1e-9 of the largest. Spreads by the formula of each function.
    """
    radial = {"etas": [0.05, 4.0, 5.0], "shifts": [0.0]}
    wide = {"kind": "wide", "radial": {"etas": [0.05], "shifts": [0.0]}, "zetas": [1, 4], "lambdas": [-1, 1]}
    potential = build_potential(model_settings([14], dtype=dtype, cutoff=4.0, radial=radial, angular={"wide": wide}))
    rng = np.random.default_rng(0)
    many, first, second = [], rng.uniform(2.1, 2.5, 30), rng.uniform(2.1, 2.5, 30)
    for left, right in zip(first, second, strict=True):
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        many.append(Atoms("Si3", positions=[-left * axis, 0 * axis, right * axis]))
    fit_scaling(potential, [batch_of(*many[:10], cutoff=4.0), batch_of(*many[10:], cutoff=4.0)])

    def gaussian(r, eta):
        return np.exp(-eta * r**2) * 0.5 * (1 + np.cos(np.pi * r / 4.0))

    ends = [(gaussian(first, eta), gaussian(second, eta)) for eta in radial["etas"]]
    expected = np.array([np.concatenate([one, other, one + other]).std() for one, other in ends])
    found = potential.function_scale.double().numpy()
    np.testing.assert_allclose(found[:3] * expected, 1.0, rtol=1e-3)
    assert expected[2] < 1e-9 * expected[0]
    names = potential.descriptor.names([14])[3:]
    assert [scale > 0 for scale in found[3:]] == ["lambda=-1" in name for name in names]


@pytest.mark.parametrize("changes", [{"species_feature": "embedding"}, {}, {"kind": "per_element"}], ids=str)
def test_linear_features_are_the_linear_potential(changes):
    """Values and forward-mode derivatives against the potential's own energies, forces and virials."""
    potential = random_potential(ELEMENTS, **changes)
    with torch.no_grad():
        potential.short_range.network.output_scale.zero_()
    geometry = geometry_of(structures()["triclinic"], structures()["slab"])
    basis = ElementBasis(potential.short_range.network)
    features = StructureFeatures(potential, basis, geometry)
    unknowns = basis.right @ potential.short_range.network.linear_weight.detach().view(basis.right.shape[1], -1)
    weight = unknowns.flatten()
    expected = predict(potential, geometry)
    references = potential.short_range.reference_energies[potential.element_index(geometry.atomic_numbers)]
    shift = torch.stack([references[geometry.structure_index == s].sum() for s in (0, 1)])
    np.testing.assert_allclose(features.values() @ weight + shift, expected.energy, atol=1e-10)
    for component in range(6):
        found = features.strain_derivative(component) @ weight
        np.testing.assert_allclose(found, expected.virial[:, component], atol=1e-10)
    for atom, axis in [(0, 0), (2, 1), (5, 2)]:
        owners, atoms, rows = features.displacement_derivative(atom, axis)
        assert owners.tolist() == ([0, 1] if atom < 3 else [0])
        np.testing.assert_allclose(-rows @ weight, expected.forces[atoms, axis], atol=1e-10)


def test_ridge_finds_a_linear_potential_again():
    teacher = random_potential([6, 14])
    teacher.short_range.network.output_scale.zero_()
    student = random_potential([6, 14], seed=1)
    student.short_range.network.output_scale.zero_()
    student.short_range.reference_energies.copy_(teacher.short_range.reference_energies)
    atoms = structures()["triclinic"]
    many = []
    for seed in range(8):
        moved = atoms.copy()
        moved.rattle(0.15, seed=seed)
        many.append(moved)
    batch, geometry = batch_of(*many), geometry_of(*many)
    made = predict(teacher, geometry)
    batch = batch.with_labels(energy=made.energy, forces=made.forces, stress=geometry.stress(made.virial))
    penalty = fit_linear_part(student, [batch, batch], 30.0, 1.0, 0.1).penalty
    found = predict(student, geometry)
    assert penalty == min(PENALTIES), "labels without noise need no penalty"
    assert (found.forces - made.forces).abs().mean() < 1e-3 * made.forces.abs().mean()


def test_refit_of_energies_by_numpy():
    """Energies are linear in the weights: rows by their changes, the penalty as further equations."""
    potential, many = random_potential([6, 14]), []
    for seed in range(12):
        many.append(structures()["triclinic"])
        many[-1].rattle(0.15, seed=seed)
    rng, batch = np.random.default_rng(0), batch_of(*many)
    before = predict(potential, batch.geometry).energy.detach().numpy()
    changes, weight = rng.normal(size=12), rng.uniform(0.5, 2.0, 12)
    changes[3] = np.nan
    labels = {"energy": torch.tensor(before + changes), "weight": torch.tensor(weight)}
    network = potential.short_range.network
    basis = ElementBasis(network)
    start = network.linear_weight.detach().clone()
    num_unknowns = len(start) // basis.right.shape[1] * basis.coordinates.shape[1]
    columns = []
    for unit in torch.eye(num_unknowns, dtype=torch.float64):
        network.linear_weight.data = start + basis.weights(unit)
        columns.append(predict(potential, batch.geometry).energy.detach().numpy() - before)
    network.linear_weight.data = start.clone()
    scale = np.sqrt(weight) / np.array([len(atoms) for atoms in many])
    rows, targets = (scale * np.array(columns)).T, scale * changes
    known = np.isfinite(targets)
    rows, targets = rows[known], targets[known]
    penalty = np.sqrt((rows**2).sum() / len(rows) / 3)
    further = penalty * np.eye(num_unknowns), np.zeros(num_unknowns)
    expected = np.linalg.lstsq(np.vstack([rows, further[0]]), np.append(targets, further[1]), rcond=None)[0]
    refit_energies(potential, [batch.with_labels(**labels)])
    found = (predict(potential, batch.geometry).energy.detach().numpy() - before) @ np.diag(scale)
    np.testing.assert_allclose(found[known], rows @ expected, atol=1e-10)
    assert np.linalg.norm(found[known] - targets) < np.linalg.norm(targets)
    refit_energies(potential, [batch])
    again = predict(potential, batch.geometry).energy.detach().numpy()
    np.testing.assert_array_equal((again - before) @ np.diag(scale), found)


def equations(noise, num_unknowns=32, seed=0):
    """Two unknowns that matter, others that don't, few equations, in three folds."""
    rng = np.random.default_rng(seed)
    for fold in range(3):
        rows = torch.tensor(rng.normal(size=(14, num_unknowns)))
        yield rows, rows[:, 0] - rows[:, 1] + noise * torch.tensor(rng.normal(size=14)), fold


@pytest.mark.parametrize("form", [NormalEquations, GramEquations])
def test_penalty_grows_with_the_noise(form):
    chosen = []
    for noise in (1e-6, 3.0):
        system = form(32)
        for part in equations(noise):
            system.add(*part)
        chosen.append(choose_penalty(system))
    assert chosen[0] < 1e-3 < chosen[1]


@pytest.mark.parametrize("form", [NormalEquations, GramEquations])
def test_ridge_solution_and_errors_of_folds_by_numpy(form):
    """Against least squares with the penalty as further equations."""
    system, parts = form(50), list(equations(0.5, 50))
    for part in parts:
        system.add(*part)

    def solution(chosen, penalty):
        rows, targets = np.concatenate([p[0] for p in chosen]), np.concatenate([p[1] for p in chosen])
        weight = np.sqrt(penalty * (rows**2).sum() / 50)
        return np.linalg.lstsq(np.vstack([rows, weight * np.eye(50)]), np.append(targets, np.zeros(50)), rcond=None)[0]

    np.testing.assert_allclose(system.solve(0.01), solution(parts, 0.01), atol=1e-10)
    rows, targets, _ = parts[1]
    residuals = rows.numpy() @ solution([parts[0], parts[2]], 0.1) - targets.numpy()
    np.testing.assert_allclose(system.error_without(1, (0.1,)), (residuals**2).sum(), rtol=1e-9)
    assert system.squares(1) == pytest.approx(float(targets @ targets))


def test_equations_of_many_unknowns_are_bounded(monkeypatch):
    monkeypatch.setattr("mhdnn.training.least_squares.MOST_EQUATIONS", 20)
    system = GramEquations(50)
    parts = list(equations(0.0, 50))
    system.add(*parts[0])
    assert not system.is_full()
    system.add(*parts[1])
    assert system.is_full()
    rows = torch.cat([parts[0][0], parts[1][0][:6]])
    np.testing.assert_allclose(rows @ system.solve(1e-8), torch.cat([parts[0][1], parts[1][1][:6]]), atol=1e-5)


def test_one_element_has_one_block_of_unknowns():
    """However many features a species has: the fit is as large as the functions are many."""
    potential = random_potential([14], species_feature="embedding", embedding_dimension=4)
    basis = ElementBasis(potential.short_range.network)
    assert basis.coordinates.shape == (1, 1)
    weight = basis.weights(torch.arange(1.0, 4.0, dtype=torch.float64)).view(5, 3)
    table = potential.short_range.network.linear_table().detach()
    np.testing.assert_allclose(table @ weight / basis.coordinates, [[1.0, 2.0, 3.0]], atol=1e-12)


def test_warmup_and_cosine():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = warmup_cosine(optimizer, total_steps=1000, warmup_steps=50)
    rates = []
    for _ in range(1001):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == pytest.approx(1.0, abs=0.01)
    assert rates[500] == pytest.approx(0.5)
    assert rates[1000] == pytest.approx(0.0)


def test_weight_decay_is_for_hidden_layers_only():
    potential = random_potential(ELEMENTS, species_feature="embedding", channels="learned")
    decayed, linear, free = parameter_groups(potential, 1e-2, 1e-3, 0.1)
    assert {tuple(p.shape) for p in decayed["params"]} == {
        tuple(p.shape)
        for n, p in potential.named_parameters()
        if n.startswith("short_range.network.perceptron") and p.ndim == 2
    }
    assert linear["params"] == [potential.short_range.network.linear_weight]
    assert sum(len(group["params"]) for group in (decayed, linear, free)) == len(list(potential.parameters()))
    assert linear["weight_decay"] == free["weight_decay"] == 0.0


def test_places_of_parameters_in_an_optimizer_are_those_of_older_checkpoints():
    """A checkpoint knows parameters by them: before potentials had parts, tables of charges came first."""
    potential = random_charge_potential([6, 14])
    names = {parameter: name for name, parameter in potential.named_parameters()}
    groups = parameter_groups(potential, 1e-2, 1e-3, 0.1)
    layers = [f"perceptron.{number}" for number in (0, 2, 4)]
    short, charge = "short_range.network", "charge_model.network"
    assert [names[p] for p in groups[0]["params"]] == [
        f"{n}.{layer}.weight" for n in (short, charge) for layer in layers
    ]
    tables = ["charge_model.electronegativity_shift", "charge_model.raw_hardness"]
    biases = [f"{network}.{layer}.bias" for network in (short, charge) for layer in layers[:2]]
    assert [names[p] for p in groups[-1]["params"]] == tables + biases


@pytest.mark.parametrize(("channels", "rate"), [("resolved", 1e-3), ("learned", 2e-3)])
def test_linear_part_beside_learned_functions_takes_larger_steps(channels, rate):
    """It was not fitted, for its functions move away from what it would be fitted to."""
    potential = random_potential(ELEMENTS, channels=channels)
    assert potential.descriptor.is_learned() == (channels == "learned")
    _, linear, _ = parameter_groups(potential, 1e-2, 1e-3, 0.1)
    assert linear["lr"] == pytest.approx(rate)


def test_linear_part_beside_learned_functions_is_not_fitted():
    """No training data are looked at: there are none here."""
    potential = random_potential(ELEMENTS, **contracted_settings())
    before = potential.short_range.network.linear_weight.detach().clone()
    fit_linear(potential, None, None)
    assert torch.equal(potential.short_range.network.linear_weight, before)


def test_known_electronegativities_and_hardness_are_learned_from_charges():
    """Teacher and student: charges of known χ, J and widths are met to a thousandth of an electron."""
    names = ["triclinic", "tiny", "slab", "molecule"]
    batches = []
    for seed in range(7):
        many = [structures()[name] for name in names]
        for atoms in many:
            atoms.rattle(0.05, seed=seed)
        batches.append(batch_of(*many, total_charge=[0.0, 1.0, 0.0, -1.0]))
    teacher = build_potential(charge_settings([6, 14, 50]))
    with torch.no_grad():
        teacher.charge_model.network.output_scale.zero_()
        teacher.charge_model.electronegativity_shift.copy_(torch.tensor([2.0, -0.5, -1.5]))
        teacher.charge_model.raw_hardness.copy_(torch.tensor([12.0, 7.0, 5.0]))
    labels = [predict_charges(teacher, batch.geometry).detach() for batch in batches]
    assert min(float(label.abs().max()) for label in labels) > 0.05
    torch.manual_seed(1)
    student = build_potential(charge_settings([6, 14, 50]))
    fit_scaling(student, batches)
    student.charge_model.network.output_scale.fill_(0.1)
    ChargeStage(1).choose_parameters(student)
    parameters = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.LBFGS(parameters, max_iter=40, history_size=50, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        pairs = zip(batches[:-1], labels[:-1], strict=True)
        total = sum(((predict_charges(student, batch.geometry) - label) ** 2).mean() for batch, label in pairs)
        total.backward()
        return total

    optimizer.step(loss)
    error = predict_charges(student, batches[-1].geometry).detach() - labels[-1]
    assert float((error**2).mean().sqrt()) < 1e-3


def test_equations_of_the_ridge_have_the_weights_of_the_loss():
    """The squares of their right-hand sides are the loss of a potential that predicts nothing."""
    potential = random_potential(ELEMENTS)
    with torch.no_grad():
        potential.short_range.reference_energies.zero_()
    batch = labelled_batch(potential)
    basis = ElementBasis(potential.short_range.network)
    labels = batch.labels
    nothing = Prediction(0 * labels.energy, 0 * labels.forces, 0 * labels.stress, 0 * labels.charges)
    for weights in ((3.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 7.0)):
        _, targets = weighted_equations(potential, basis, batch, *weights)
        loss = Loss(Ramp(weights[0], weights[0]), *weights[1:])
        expected = loss(nothing, batch).item()
        assert expected > 1e-3
        assert (targets**2).sum().item() == pytest.approx(expected, rel=1e-10)


def test_moving_average_forgets_the_first_weights_soon():
    """Decay (1 + n)/(10 + n) at first, as chosen later."""
    average, model, expected = MovingAverage(0.5), torch.nn.Linear(1, 1), None
    average._average_model = AveragedModel(model)
    for step in range(40):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model)
        decay = min(0.5, step / (9.0 + step))
        expected = float(step) if expected is None else decay * expected + (1 - decay) * step
    assert average._average_model.module.weight.item() == pytest.approx(expected, rel=1e-5)
