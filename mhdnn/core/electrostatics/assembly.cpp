#include "assembly.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "costs.h"
#include "dense_solver.h"
#include "iterative_solver.h"
#include "parameters.h"
#include "particle_mesh.h"
#include "preconditioner.h"
#include "structure_factors.h"

namespace mhdnn::electrostatics {
namespace {

struct Atoms {
    std::vector<double> positions, widths;
    double accuracy, smearing;  // the latter is chosen if it is zero
    const Processes& processes;

    std::int64_t count() const { return static_cast<std::int64_t>(widths.size()); }
    double largest_pair_width() const { return std::sqrt(2.0) * *std::max_element(widths.begin(), widths.end()); }
    RealSpace real_space(NeighborSearch& search, const Matrix3& cell, Rows rows, const Splitting& splitting) const {
        const auto silent = silent_atoms(widths, splitting.smearing);
        return {search.find({cell, positions, rows, splitting.cutoff, silent}), widths, splitting.smearing};
    }
};

Assembly dense(std::unique_ptr<CoulombMatrix> matrix, double constant, const Processes& processes) {
    Assembly result;
    result.make_solver = [&elements = matrix->elements(), constant, &processes](
                             const std::vector<double>& hardness, double) {
        DenseMatrix shifted = elements;
        for (double& element : shifted.values) element += constant;
        return std::make_unique<DenseSolver>(std::move(shifted), hardness, processes);
    };
    result.matrix = std::move(matrix);
    return result;
}

Assembly dense_open(const Atoms& atoms) {
    RealSpace real(all_neighbors(atoms.positions, {0, atoms.count()}), atoms.widths, 0.0);
    auto matrix = std::make_unique<CoulombMatrix>(
        atoms.positions, std::move(real), nullptr, std::nullopt, std::nullopt, atoms.processes);
    matrix->keep_elements(DenseMatrix(atoms.count()));
    return dense(std::move(matrix), 0.0, atoms.processes);
}

Assembly dense_periodic(const Box& box, const Atoms& atoms, NeighborSearch& search) {
    const double largest = atoms.largest_pair_width();
    const Cell cell = periodic_cell(box, atoms.positions, largest, atoms.accuracy);
    const Splitting splitting = atoms.smearing > 0.0 ? splitting_with(atoms.smearing, largest, atoms.accuracy)
                                                     : choose_splitting(cell.volume(), largest, atoms.accuracy);
    RealSpace real = atoms.real_space(search, cell.vectors, {0, atoms.count()}, splitting);
    auto smooth = std::make_unique<StructureFactors>(
        cell.vectors, atoms.positions, splitting.smearing, splitting.reciprocal_cutoff, atoms.processes);
    DenseMatrix elements = smooth->matrix();
    auto matrix = std::make_unique<CoulombMatrix>(
        atoms.positions, std::move(real), std::move(smooth), cell,
        Background(cell, atoms.positions, atoms.widths, splitting.smearing), atoms.processes);
    matrix->keep_elements(std::move(elements));
    return dense(std::move(matrix), convexity_constant(cell, largest), atoms.processes);
}

// Cell of the mesh, and how the sum is split.
struct MeshPlan {
    Matrix3 vectors;
    std::optional<Cell> cell;    // with periodic directions
    std::optional<OpenBox> box;  // without
    Splitting splitting;
    MeshResolution resolution;

    double num_points() const {
        const MeshShape shape = mesh_shape(vectors, splitting.smearing, resolution);
        return static_cast<double>(shape[0]) * static_cast<double>(shape[1]) * static_cast<double>(shape[2]);
    }
};

MeshPlan periodic_plan(const Box& box, const Atoms& atoms) {
    const double largest = atoms.largest_pair_width();
    const Cell cell = periodic_cell(box, atoms.positions, largest, atoms.accuracy);
    double volume = cell.volume(), most = std::numeric_limits<double>::infinity();
    std::vector<double> heights;
    if (cell.slab) {
        heights.push_back(std::min(cell.length, cell.thickness + space_above));
        volume *= heights[0] / cell.length;
        // pairs must not reach through the vacuum, also after rounding to a step
        most = cell.vacuum * std::cbrt(4.0 * pi / 3.0) / std::sqrt(smearing_step);
    }
    const double edge = std::min(neighborhood_edge(static_cast<double>(atoms.count()), volume, heights), most);
    const double smearing = atoms.smearing > 0.0 ? atoms.smearing : mesh_smearing(edge, largest, atoms.accuracy);
    return {
        cell.vectors, cell, std::nullopt, splitting_with(smearing, largest, atoms.accuracy),
        choose_resolution(atoms.accuracy)};
}

MeshPlan open_plan(const Atoms& atoms) {
    OpenBox box{};
    for (int axis = 0; axis < 3; ++axis) {
        double low = atoms.positions[axis], high = low;
        for (std::size_t place = axis; place < atoms.positions.size(); place += 3) {
            low = std::min(low, atoms.positions[place]);
            high = std::max(high, atoms.positions[place]);
        }
        box.extents[axis] = std::ceil(high - low) + 1.0;
    }
    const double largest = atoms.largest_pair_width();
    const double volume = box.extents[0] * box.extents[1] * box.extents[2];
    const double edge =
        neighborhood_edge(static_cast<double>(atoms.count()), volume, {box.extents.begin(), box.extents.end()});
    const double smearing = atoms.smearing > 0.0 ? atoms.smearing : mesh_smearing(edge, largest, atoms.accuracy);
    const Splitting splitting = splitting_with(smearing, largest, atoms.accuracy);
    box.margin = splitting.cutoff;
    return {box.vectors(), std::nullopt, box, splitting, choose_resolution(atoms.accuracy)};
}

std::unique_ptr<Solver> iterative_solver(
    const CoulombMatrix& matrix, const MeshPlan& plan, const Atoms& atoms, const std::vector<double>& hardness,
    double tolerance) {
    std::vector<double> diagonal = hardness;
    for (std::size_t atom = 0; atom < diagonal.size(); ++atom)
        diagonal[atom] += coulomb_constant / (atoms.widths[atom] * std::sqrt(pi));
    const auto mesh =
        std::make_shared<const MeshPreconditioner>(plan.vectors, atoms.positions, plan.splitting.smearing, diagonal);
    const auto smooth = [mesh](const std::vector<double>& residual) { return (*mesh)(residual); };
    const auto simple = [diagonal](std::vector<double> residual) {
        for (std::size_t atom = 0; atom < residual.size(); ++atom) residual[atom] /= diagonal[atom];
        return residual;
    };
    return std::make_unique<IterativeSolver>(
        [&matrix](const std::vector<double>& q) { return matrix.multiply(q); }, hardness,
        std::vector<IterativeSolver::Preconditioner>{smooth, simple}, tolerance);
}

Assembly on_mesh(const MeshPlan& plan, const Atoms& atoms, NeighborSearch& search) {
    const Splitting& splitting = plan.splitting;
    const Rows own = {atoms.processes.first, atoms.processes.num_local};
    RealSpace real = atoms.real_space(search, plan.vectors, own, splitting);
    auto smooth = std::make_unique<ParticleMesh>(
        plan.vectors, atoms.positions, splitting, plan.resolution, plan.box, atoms.processes);
    std::optional<Background> background;
    if (plan.cell) background.emplace(*plan.cell, atoms.positions, atoms.widths, splitting.smearing);
    Assembly result;
    result.matrix = std::make_unique<CoulombMatrix>(
        atoms.positions, std::move(real), std::move(smooth), plan.cell, std::move(background), atoms.processes);
    result.make_solver = [&matrix = *result.matrix, plan, atoms](
                             const std::vector<double>& hardness, double tolerance) {
        return iterative_solver(matrix, plan, atoms, hardness, tolerance);
    };
    result.iterative = true;
    return result;
}

}  // namespace

Assembly assemble(
    const Box& box, const std::vector<double>& positions, const std::vector<double>& widths, double accuracy,
    SolverChoice choice, double smearing, NeighborSearch& search, const Processes& processes) {
    check_box(box);
    const Atoms atoms = {positions, widths, accuracy, smearing, processes};
    const bool open = !box.periodic[0] && !box.periodic[1] && !box.periodic[2];
    const auto dense = [&] { return open ? dense_open(atoms) : dense_periodic(box, atoms, search); };
    const Cost of_matrix = dense_cost(static_cast<double>(atoms.count()), !open);
    const auto check_matrix = [&] {
        check_memory(
            of_matrix.bytes, "a dense matrix of " + std::to_string(atoms.count()) + " atoms",
            "choose solver iterative or auto", processes);
    };
    if (choice == SolverChoice::dense || (choice == SolverChoice::automatic && atoms.count() <= largest_dense)) {
        check_matrix();
        return dense();
    }
    const MeshPlan plan = open ? open_plan(atoms) : periodic_plan(box, atoms);
    const Cost of_mesh = mesh_cost(static_cast<double>(atoms.count()), plan.num_points(), plan.resolution.order);
    if (choice == SolverChoice::automatic && !prefers_mesh(of_mesh, of_matrix, processes)) {
        check_matrix();
        return dense();
    }
    check_memory(
        of_mesh.bytes, std::to_string(atoms.count()) + " atoms on a mesh",
        "ask for less accuracy, leave vacuum out of a periodic box, or take machines with more memory", processes);
    return on_mesh(plan, atoms, search);
}

}  // namespace mhdnn::electrostatics
