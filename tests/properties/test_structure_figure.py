"""Pictures of structures: every atom at its place, the gap marked, and no plots of one point."""

import numpy as np
import pytest
from ase.build import fcc111, graphene, molecule
from ase.calculators.emt import EMT
from matplotlib.collections import LineCollection, PatchCollection

from mhdnn.properties.formation import formation_report
from mhdnn.properties.interfaces import interface_report
from mhdnn.properties.separation import registry_map_report, separation_report
from mhdnn.properties.structure_figure import repeated, structure_figure


def circles(axes):
    (found,) = (one for one in axes.collections if isinstance(one, PatchCollection))
    return found.get_paths()


def copper():
    atoms = fcc111("Cu", (1, 1, 4), vacuum=7.0)
    atoms.set_array("slab", (atoms.positions[:, 2] > atoms.positions[:, 2].mean()) + 1)
    return atoms


def test_each_atom_is_drawn_in_both_views_where_it_is():
    atoms = molecule("CH3OH")
    figure, (top, side) = structure_figure(atoms, "methanol")
    for axes, columns in ((top, [0, 1]), (side, [0, 2])):
        centers = np.array([0.5 * (path.vertices.max(0) + path.vertices.min(0)) for path in circles(axes)])
        assert np.sort(centers, axis=0) == pytest.approx(np.sort(atoms.positions[:, columns], axis=0), abs=1e-6)
        bonds = axes.collections[0]
        assert isinstance(bonds, LineCollection)
        assert len(bonds.get_segments()) == 5
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["H", "C", "O"]


def test_small_cells_are_repeated_and_large_ones_not():
    assert len(repeated(graphene(vacuum=5.0))) == 2 * 9
    large = graphene(size=(4, 4, 1), vacuum=5.0)
    assert len(repeated(large)) == len(large)


def test_interface_is_drawn_with_its_gap(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sheet = graphene(vacuum=5.0)
    alone = interface_report(sheet, sheet, max_area=6.0, max_strain=1e-6, gap=3.25).figure
    assert len(alone.axes) == 2
    assert "3.25 Å" in [text.get_text() for text in alone.axes[1].texts]
    several = interface_report(sheet, sheet, max_area=40.0, max_strain=1e-6).figure
    assert len(several.axes) == 3


def test_single_numbers_are_no_plots():
    rigid = separation_report(copper(), EMT(), relax=False)
    assert [axes.get_title(loc="left") for axes in rigid.figure.axes] == ["from above", "from the side"]
    assert f"{rigid.values['work_of_separation_rigid_j_per_m2']:.3f}" in rigid.figure.get_suptitle()
    one = registry_map_report(copper(), EMT(), num_1=1, num_2=1)
    assert len(one.figure.axes) == 2
    assert len(registry_map_report(copper(), EMT(), num_1=2, num_2=2).figure.axes) == 2  # the map and its bar


def test_one_interphase_is_no_plot():
    slab, film = fcc111("Cu", (2, 2, 2), vacuum=9.0), fcc111("Ag", (2, 2, 1), a=3.61, vacuum=9.0)
    above = film.copy()
    above.positions[:, 2] += slab.positions[:, 2].max() + 2.3 - film.positions[:, 2].min()
    report = formation_report([slab + above], film, EMT(), electrode=slab)
    assert len(report.figure.axes) == 1
    assert f"{report.values['interphase_formation_energies_ev'][0]:.3f} eV" in report.figure.get_suptitle()
