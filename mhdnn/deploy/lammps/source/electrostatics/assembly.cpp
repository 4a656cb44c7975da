#include "assembly.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "dense_solver.h"
#include "iterative_solver.h"
#include "parameters.h"
#include "particle_mesh.h"
#include "preconditioner.h"
#include "structure_factors.h"

namespace mhdnn::electrostatics {
namespace {

struct Atoms {
  const std::vector<double> &positions, &widths, &hardness;
  double accuracy;
  const Processes &processes;

  std::int64_t count() const { return static_cast<std::int64_t>(widths.size()); }
  double largest_pair_width() const { return std::sqrt(2.0) * *std::max_element(widths.begin(), widths.end()); }
  std::vector<double> local(const std::vector<double> &values) const {
    return {values.begin() + processes.first, values.begin() + processes.first + processes.num_local};
  }
};

Assembly dense_open(const Atoms &atoms) {
  RealSpace real(all_neighbors(atoms.positions, {0, atoms.count()}), atoms.widths, 0.0);
  Assembly result;
  result.matrix = std::make_unique<CoulombMatrix>(atoms.positions, std::move(real), nullptr, std::nullopt,
                                                  std::nullopt, atoms.processes);
  const auto elements = at::zeros({atoms.count(), atoms.count()}, at::kDouble);
  result.matrix->add_to_matrix(elements.mutable_data_ptr<double>());
  result.solver = std::make_unique<DenseSolver>(elements, atoms.hardness, atoms.processes);
  return result;
}

Assembly dense_periodic(const Box &box, const Atoms &atoms) {
  const double largest = atoms.largest_pair_width();
  const Cell cell = periodic_cell(box, atoms.positions, largest, atoms.accuracy);
  const Splitting splitting = choose_splitting(cell.volume(), largest, atoms.accuracy);
  RealSpace real(neighbors_within(cell.vectors, atoms.positions, {0, atoms.count()}, splitting.cutoff), atoms.widths,
                 splitting.smearing);
  auto smooth = std::make_unique<StructureFactors>(cell.vectors, atoms.positions, splitting.smearing,
                                                   splitting.reciprocal_cutoff, atoms.processes);
  const auto elements = smooth->matrix();
  Assembly result;
  result.matrix = std::make_unique<CoulombMatrix>(
      atoms.positions, std::move(real), std::move(smooth), cell,
      Background(cell, atoms.positions, atoms.widths, splitting.smearing), atoms.processes);
  result.matrix->add_to_matrix(elements.mutable_data_ptr<double>());
  elements.add_(convexity_constant(cell, largest));
  result.solver = std::make_unique<DenseSolver>(elements, atoms.hardness, atoms.processes);
  return result;
}

// Cell of the mesh, and how the sum is split.
struct MeshPlan {
  Matrix3 vectors;
  std::optional<Cell> cell;  // with periodic directions
  double smearing, truncation;
};

MeshPlan periodic_plan(const Box &box, const Atoms &atoms) {
  const double largest = atoms.largest_pair_width();
  const Cell cell = periodic_cell(box, atoms.positions, largest, atoms.accuracy);
  const double density = static_cast<double>(atoms.count()) / filled_volume(cell);
  return {cell.vectors, cell, mesh_smearing(density, largest, atoms.accuracy), 0.0};
}

// A box so large that the images of an open structure don't see each other.
MeshPlan open_plan(const Atoms &atoms) {
  Vector3 low, high, extent;
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = high[axis] = atoms.positions[axis];
    for (std::size_t place = axis; place < atoms.positions.size(); place += 3) {
      low[axis] = std::min(low[axis], atoms.positions[place]);
      high[axis] = std::max(high[axis], atoms.positions[place]);
    }
    extent[axis] = std::ceil(high[axis] - low[axis]) + 1.0;
  }
  const double density = static_cast<double>(atoms.count()) / (extent[0] * extent[1] * extent[2]);
  const double smearing = mesh_smearing(density, atoms.largest_pair_width(), atoms.accuracy);
  const double margin = decay_length(atoms.accuracy) * smearing;
  const double truncation = norm(extent) + margin;
  Matrix3 vectors{};
  for (int axis = 0; axis < 3; ++axis) vectors[axis][axis] = extent[axis] + truncation + margin;
  return {vectors, std::nullopt, smearing, truncation};
}

std::unique_ptr<Solver> iterative_solver(const CoulombMatrix &matrix, const MeshPlan &plan, const Atoms &atoms) {
  const auto hardness = atoms.local(atoms.hardness);
  auto diagonal = atoms.local(atoms.widths);
  for (std::size_t atom = 0; atom < diagonal.size(); ++atom)
    diagonal[atom] = hardness[atom] + coulomb_constant / (diagonal[atom] * std::sqrt(pi));
  const MeshPreconditioner smooth(plan.vectors, atoms.positions, plan.smearing, diagonal, plan.truncation,
                                  atoms.processes);
  const auto simple = [diagonal](std::vector<double> residual) {
    for (std::size_t atom = 0; atom < residual.size(); ++atom) residual[atom] /= diagonal[atom];
    return residual;
  };
  return std::make_unique<IterativeSolver>([&matrix](const std::vector<double> &q) { return matrix.multiply(q); },
                                           hardness, std::vector<IterativeSolver::Product>{smooth, simple},
                                           tolerance_per_accuracy * atoms.accuracy, atoms.processes);
}

Assembly on_mesh(const MeshPlan &plan, const Atoms &atoms) {
  const Splitting splitting = splitting_with(plan.smearing, atoms.largest_pair_width(), atoms.accuracy);
  const Rows own = {atoms.processes.first, atoms.processes.num_local};
  RealSpace real(neighbors_within(plan.vectors, atoms.positions, own, splitting.cutoff), atoms.widths,
                 splitting.smearing);
  auto smooth = std::make_unique<ParticleMesh>(plan.vectors, atoms.positions, splitting.smearing,
                                               choose_resolution(atoms.accuracy), plan.truncation, atoms.processes);
  std::optional<Background> background;
  if (plan.cell) background.emplace(*plan.cell, atoms.positions, atoms.widths, splitting.smearing);
  Assembly result;
  result.matrix = std::make_unique<CoulombMatrix>(atoms.positions, std::move(real), std::move(smooth), plan.cell,
                                                  std::move(background), atoms.processes);
  result.solver = iterative_solver(*result.matrix, plan, atoms);
  return result;
}

}  // namespace

Assembly assemble(const Box &box, const std::vector<double> &positions, const std::vector<double> &widths,
                  const std::vector<double> &hardness, double accuracy, SolverChoice choice,
                  const Processes &processes) {
  check_box(box);
  const Atoms atoms = {positions, widths, hardness, accuracy, processes};
  const bool dense = choice == SolverChoice::dense ||
                     (choice == SolverChoice::automatic && atoms.count() <= largest_dense);
  const bool open = !box.periodic[0] && !box.periodic[1] && !box.periodic[2];
  if (dense) return open ? dense_open(atoms) : dense_periodic(box, atoms);
  return on_mesh(open ? open_plan(atoms) : periodic_plan(box, atoms), atoms);
}

}  // namespace mhdnn::electrostatics
