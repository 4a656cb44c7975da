"""The linear part fitted once more: a potential found again, noise by families, and nothing made worse."""

import numpy as np
import pytest
import torch

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.store import StoreWriter
from mhdnn.prediction import predict
from mhdnn.training import final_fit
from mhdnn.training.final_fit import Noise, fit_linear_part_again, kept
from mhdnn.training.loss import Loss, Ramp, Thresholds
from mhdnn.training.ridge import ElementBasis
from tests.builders import geometry_of, random_potential, structure_of, structures

ELEMENTS = [6, 14, 50]
CUTOFF = 4.5
HOT, COLD = "hot", "cold"
LOSS = Loss(Ramp(1.0, 10.0), 1.0, 0.1)


def rattled(num, name="triclinic"):
    result = []
    for seed in range(num):
        atoms = structures()[name].copy()
        atoms.rattle(0.1, seed=seed)
        result.append(atoms)
    return result


def learned(tmp_path, teacher, many, groups, split, noise=0.0):
    """A data module with a teacher's labels, those of hot structures with noise (eV/atom, eV/Å)."""
    rng, path = np.random.default_rng(0), tmp_path / "data.h5"
    with StoreWriter(path) as writer:
        for atoms, group, part in zip(many, groups, split, strict=True):
            geometry = geometry_of(atoms)
            made = predict(teacher, geometry)
            size = noise if group.startswith(HOT) else 0.0
            energy = float(made.energy[0]) + len(atoms) * size * rng.normal()
            forces = made.forces.numpy() + size * rng.normal(size=(len(atoms), 3))
            stress = geometry.stress(made.virial)[0].numpy()
            writer.append(structure_of(atoms, energy=energy, forces=forces, stress=stress, group=group), split=part)
    return StoreDataModule(
        str(path), None, None, CUTOFF, validation_fraction=0.0, split_by="auto", split_seed=0, dispersion=True,
        batch_size=2, num_workers=0, cache_megabytes=10,
    )  # fmt: skip


def student_of(teacher, change=0.02):
    """The teacher with another linear part."""
    student = random_potential(ELEMENTS)
    student.load_state_dict(teacher.state_dict())
    generator = torch.Generator().manual_seed(5)
    weight = student.short_range.network.linear_weight
    with torch.no_grad():
        weight.add_(change * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return student


def errors(student, teacher, many):
    """Root mean squares of energies per atom, and of forces."""
    geometry = geometry_of(*many)
    own, others = predict(student, geometry), predict(teacher, geometry)
    energies = (own.energy - others.energy) / geometry.num_atoms_per_structure
    return float(energies.square().mean().sqrt()), float((own.forces - others.forces).square().mean().sqrt())


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("few_components", [False, True])
def test_another_linear_part_is_found_again(tmp_path, monkeypatch, validated, few_components):
    if few_components:
        monkeypatch.setattr(final_fit, "MOST_DISPLACED", 24 * 8 * 16)
    teacher = random_potential(ELEMENTS)
    many = rattled(24)
    split = ["validation" if validated and number % 4 == 0 else "train" for number in range(24)]
    data = learned(tmp_path, teacher, many, [COLD] * 24, split)
    student, fresh = student_of(teacher), rattled(30)[24:]
    before = errors(student, teacher, fresh)
    blocks = student.short_range.network.linear_blocks().detach().clone()
    fit_linear_part_again(student, data, LOSS)
    after = errors(student, teacher, fresh)
    assert after[0] < 0.01 * before[0]
    assert after[1] < 0.05 * before[1]
    torch.testing.assert_close(student.short_range.network.trained_blocks(), blocks)


def test_families_without_noise_are_not_drowned_by_others(tmp_path):
    """The same structures with the same labels, told apart or not."""
    teacher, many = random_potential(ELEMENTS), rattled(60)
    split = ["validation" if number % 5 == 0 else "train" for number in range(60)]
    found = {}
    for told in (True, False):
        groups = [f"{COLD}/1" if number % 2 else f"{HOT}/1" for number in range(60)]
        folder = tmp_path / str(told)
        folder.mkdir()
        data = learned(folder, teacher, many, groups, split, noise=0.3)
        if not told:
            data.families = lambda part, data=data: np.full(len(data.indices[part]), "all")
        student = student_of(teacher)
        fit_linear_part_again(student, data, LOSS)
        found[told] = errors(student, teacher, rattled(70)[60:])
    assert found[True][0] < 0.3 * found[False][0]
    assert found[True][1] < 0.3 * found[False][1]


def test_what_can_only_become_worse_stays(tmp_path, capsys):
    """Training labels are wrong, those of the validation set are what the potential says."""
    teacher, many = random_potential(ELEMENTS), rattled(12)
    data = learned(
        tmp_path, teacher, many, [f"{HOT}/1"] * 8 + [f"{COLD}/1"] * 4, ["train"] * 8 + ["validation"] * 4, noise=0.2
    )
    before = teacher.short_range.network.linear_weight.detach().clone()
    fit_linear_part_again(teacher, data, LOSS)
    assert torch.equal(teacher.short_range.network.linear_weight, before)
    assert "+0%" in capsys.readouterr().out


def test_noise_of_few_structures_is_not_fitted(tmp_path):
    """Without validation set, and all in one batch: parts of the training set must agree."""
    potential, truth = (random_potential(ELEMENTS) for _ in range(2))
    data = learned(tmp_path, truth, rattled(5), [f"{HOT}/1"] * 5, ["train"] * 5, noise=0.2)
    fit_linear_part_again(potential, data, LOSS)
    assert errors(potential, truth, rattled(30)[24:])[0] < 0.001  # eV/atom


def test_labels_without_weight_and_outliers_do_not_count(tmp_path):
    """Wrong stress; then one wrong energy and one wrong force, beyond the thresholds."""
    teacher, many = random_potential(ELEMENTS), rattled(24)
    split = ["validation" if number % 4 == 0 else "train" for number in range(24)]
    before = errors(student_of(teacher), teacher, rattled(30)[24:])

    def after(loss, **changes):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        data = learned(folder, teacher, many, [COLD] * 24, split)
        kept_batches = data.thinned

        def changed(num_atoms, part="train"):
            def passes():
                for batch in kept_batches(num_atoms, part)():
                    labels = {name: getattr(batch.labels, name).clone() for name in changes}
                    for name, change in changes.items():
                        change(labels[name])
                    yield batch.with_labels(**labels)

            return passes

        data.thinned = changed
        student = student_of(teacher)
        fit_linear_part_again(student, data, loss)
        return errors(student, teacher, rattled(30)[24:])

    def wrong(values):
        values[0] += 100.0

    limited = Loss(Ramp(1.0, 10.0), 1.0, 0.1, thresholds=Thresholds(1.0, 10.0, 10.0))
    for loss, changes in (
        (Loss(Ramp(1.0, 10.0), 1.0, 0.0), {"stress": lambda values: values.mul_(-3.0)}),
        (limited, {"energy": wrong, "forces": wrong}),
    ):
        right = after(loss, **changes)
        assert right[0] < 0.01 * before[0]
        assert right[1] < 0.05 * before[1]
        misled = after(LOSS, **changes)
        assert misled[0] > 10 * right[0]
        assert misled[1] > 10 * right[1]


def test_equations_are_in_units_of_noise(tmp_path):
    """Their squares by hand, and those of the noise."""
    teacher, many = random_potential(ELEMENTS), [*rattled(3), *rattled(2, "slab")]
    groups = [f"{COLD}/1"] * 3 + [f"{HOT}/2"] * 2
    data = learned(tmp_path, teacher, many, groups, ["train"] * 5)
    student = student_of(teacher)
    geometry = geometry_of(*many)
    own, others = predict(student, geometry), predict(teacher, geometry)
    sizes = geometry.num_atoms_per_structure.double()
    energy = ((own.energy - others.energy) / sizes).square()
    virial = ((own.virial - others.virial) / sizes.unsqueeze(1)).square().mean(1)
    squares = (own.forces - others.forces).square().sum(1)
    force = torch.stack([squares[geometry.structure_index == s].sum() / (3 * sizes[s]) for s in range(5)])
    by_hand = torch.stack([energy, virial, force], 1)
    parts = kept(student, ElementBasis(student.short_range.network), data, "train", LOSS)
    noise = Noise(parts)
    of_all = by_hand.mean(0).sqrt()
    cold = by_hand[:3].mean(0).sqrt() ** 0.5 * of_all**0.5
    hot = by_hand[3:].mean(0).sqrt() ** 0.4 * of_all**0.6
    found = noise.of([COLD, HOT, "unseen"])
    np.testing.assert_allclose(found, torch.stack([cold, hot, of_all]), rtol=1e-8)
    variances = torch.stack([cold] * 3 + [hot] * 2).square()
    expected = (by_hand / (variances + by_hand) * torch.tensor([4.0, 1.0, 4.0])).sum()
    targets = torch.cat([part.weighted(noise)[1] for part in parts])
    assert float(targets.square().sum()) == pytest.approx(float(expected), rel=1e-8)
    nothing = torch.zeros(parts[0].blocks[0].rows.shape[1], 1, dtype=torch.float64)
    cauchy = (torch.log1p(by_hand / variances) * torch.tensor([4.0, 1.0, 4.0])).sum()
    assert float(sum(part.losses(noise, nothing) for part in parts)) == pytest.approx(float(cauchy), rel=1e-8)
