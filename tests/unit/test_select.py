"""Choice of structures: greedily by hand, duplicates left out, the command on a pool."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.active.select import AtomsOfPool, Novelty, Reach, choose, write_chosen
from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.dispersion import Dispersion
from mhdnn.training.uncertainty import fit_error_model
from tests.builders import batch_of, model_settings, structure_of
from tests.unit.test_uncertainty import CHANGES, ELEMENTS, labelled, rattled_crystals, small_potential


def pool_of(*positions: list[float]) -> AtomsOfPool:
    """Structures of atoms on a line."""
    points = torch.tensor([[x] for own in positions for x in own], dtype=torch.float64)
    structure = torch.tensor([number for number, own in enumerate(positions) for _ in own])
    return AtomsOfPool(points, torch.zeros(len(points), dtype=torch.long), structure)


def test_greedy_choice_by_hand():
    novelty = Novelty(pool_of([4.0], [4.1], [4.3], [-9.0, 0.0], [-3.0], [0.02]))
    novelty.learn(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.long))
    gains = Reach(novelty.pool).gains(novelty)
    expected = [4.0 + 4.0 + 4.0, 3.9 + 4.1 + 4.1, 3.7 + 3.9 + 4.3, 9.0, 3.0 + 3.0, 4 * 0.02]
    np.testing.assert_allclose(gains, expected, rtol=1e-5)
    chosen = list(choose(novelty, 9))
    # 4.1 stands for three; then -9, from which nothing has come nearer; 0.02 is a duplicate of what is known
    assert [number for number, _ in chosen] == [1, 3, 4, 2, 0]
    np.testing.assert_allclose([value for _, value in chosen], [4.1, 9.0, 3.0, 0.2, 0.1], atol=1e-12)


def test_of_many_alike_one_is_enough():
    crystal = [[1.0 + 0.001 * number] for number in range(50)]
    novelty = Novelty(pool_of(*crystal, [2.0], [3.0]))
    novelty.learn(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.long))
    chosen = [number for number, _ in choose(novelty, 9)]
    assert len(chosen) == 3
    assert chosen[0] < 50
    assert set(chosen[1:]) == {50, 51}


def test_an_element_that_is_not_known_comes_first():
    pool = pool_of([5.0], [0.1], [6.0])
    pool.element[1] = 1
    novelty = Novelty(pool)
    novelty.learn(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.long))
    assert [number for number, _ in choose(novelty, 2)][0] == 1


def test_elements_know_only_themselves():
    pool = pool_of([1.0], [1.0])
    pool.element[1] = 1
    novelty = Novelty(pool)
    novelty.learn(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.long))
    assert novelty.of_structures().tolist() == [0.0, torch.inf]


def write(path, many):
    with StoreWriter(path) as writer:
        for number, atoms in enumerate(many):
            writer.append(structure_of(atoms, group=f"pool/{number}"))
    return path


def model_and_pool(folder):
    """Four structures as those of the training, and two strange ones twice."""
    potential = small_potential()
    training = [batch_of(*rattled_crystals(20, 0))]
    assert fit_error_model(potential, lambda: training, [labelled(potential, rattled_crystals(10, 2), 0)], training)
    save_model(potential, folder / "model.pt", metadata_of(potential, model_settings(ELEMENTS, **CHANGES), {}))
    strange = [bulk("Si", "fcc", a=3.9), bulk("C", a=3.4)]
    return folder / "model.pt", write(folder / "pool.h5", [*rattled_crystals(4, 5), *strange, *strange])


def test_command(tmp_path, capsys):
    model, pool = model_and_pool(tmp_path)
    assert main(["data", "select", str(pool), f"model={model}", "num=2"]) == 0
    groups = StoreReader(tmp_path / "pool_selected.h5").groups
    assert {int(group.split("/")[1]) % 2 for group in groups} == {0, 1}  # one of each strange kind, not the same twice
    assert all(int(group.split("/")[1]) >= 4 for group in groups)
    assert (tmp_path / "pool_selected.png").stat().st_size > 0
    assert "above 1 is unlike the training set" in capsys.readouterr().out


def test_what_is_read_is_not_overwritten(tmp_path, capsys):
    """Neither by the chosen structures nor by their map, nor those by the map."""
    model, pool = model_and_pool(tmp_path)
    known = write(tmp_path / "known.png", rattled_crystals(2, 7))
    (tmp_path / "link.h5").symlink_to(pool)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("pool.h5", "link.h5", "model.pt", "known.png", "known.h5", "map.png"):
        arguments = [str(pool), f"model={model}", f"labelled={known}", f"output={tmp_path / name}"]
        assert main(["data", "select", *arguments]) == 1
        assert "`output`: expected" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_dispersion_and_split_stay(tmp_path):
    pool = tmp_path / "pool.h5"
    with StoreWriter(pool, {"dispersion": "d3 bj pbe"}) as writer:
        for number, split in enumerate(("train", "test", "validation")):
            part = Dispersion(energy=-float(number), forces=np.full((2, 3), float(number)))
            writer.append(structure_of(bulk("Si"), group=f"g{number}"), part, split)
    write_chosen(pool, [2, 1], tmp_path / "chosen.h5")
    chosen = StoreReader(tmp_path / "chosen.h5")
    assert chosen.split.tolist() == ["validation", "test"]
    assert [chosen.record(number).dispersion.energy for number in range(2)] == [-2.0, -1.0]
    np.testing.assert_array_equal(chosen.record(1).dispersion.forces, np.ones((2, 3)))
    assert chosen.attributes["dispersion"] == "d3 bj pbe"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["num=0"], "`num`: expected at least 1"), ([], "`model`"), (["modle=a"], "modle")]
)
def test_wrong_arguments(tmp_path, capsys, arguments, words):
    given = arguments if arguments != ["num=0"] else ["num=0", "model=none.pt"]
    assert main(["data", "select", "pool.h5", *given]) == 1
    assert words in capsys.readouterr().err
