// What is chosen for an accuracy, and where the choice changes. A test compares what electrostatics/ewald.py has, too.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vectors.h"

namespace mhdnn::electrostatics {

constexpr double pi = 3.14159265358979323846;
// units.py: CODATA 2018
constexpr double elementary_charge = 1.602176634e-19;                                             // C
constexpr double vacuum_permittivity = 8.8541878128e-12;                                          // F/m
constexpr double coulomb_constant = 1e10 * elementary_charge / (4.0 * pi * vacuum_permittivity);  // eV Å/e²

constexpr std::int64_t largest_dense = 400;      // atoms up to which the dense matrix is always the faster one
constexpr int nodes_per_panel = 10;              // of the quadrature of open kernels
constexpr double space_above = 2.0;              // what a layer of atoms takes up, above its thickness, Å
constexpr double smallest_pivot = 1e-13;         // of a diagonal element; with smaller ones a matrix is singular
constexpr double smearing_per_length = 0.17;     // η/V^⅓ at which pairs and waves cost the same (measured; ewald.py)
constexpr double neighbors_with_mesh = 200.0;    // for which pairs and mesh cost about the same (measured)
constexpr double smearing_step = 1.1;            // ewald.py
constexpr double tolerance_per_accuracy = 1e-2;  // of the residual, relative to the first one
constexpr double smallest_tolerance = 1e-13;
constexpr int most_iterations = 500;  // with one preconditioner
constexpr double coarsening = 1.3;    // η of the preconditioner in units of that of the Ewald sum
constexpr int num_aliases = 12;       // of the influence factor

// Costs of energies and forces on one core, and of memory, to a factor of two or so (measured).
constexpr double seconds_per_element[2] = {2.5e-7, 5e-7};  // of a dense matrix: open, periodic
constexpr double seconds_per_point = 1e-6;                 // of a mesh: its share in all iterations
constexpr double seconds_per_atom = 2e-4;                  // on a mesh: its neighbours and spline points
constexpr int measured_order = 7;                          // of the splines
constexpr double bytes_per_element = 200.0;
constexpr double bytes_per_point = 100.0;
constexpr double bytes_per_spline_point = 50.0;
constexpr double bytes_per_atom = 40e3;  // of its neighbours

struct MeshResolution {
    int order;       // of the splines
    double spacing;  // largest, in units of the smearing
};

struct ResolutionEntry {
    double lowest_accuracy;
    MeshResolution resolution;
};

// Coarsest mesh for accuracies down to the first number, at which the potential of random charges has a relative error
// of a tenth to a third of that number, the forces one of about twice that number (measured against the Ewald sum).
constexpr std::array<ResolutionEntry, 6> resolutions = {{
    {1e-4, {5, 0.55}},
    {1e-5, {6, 0.50}},
    {1e-6, {7, 0.42}},
    {1e-8, {10, 0.40}},
    {1e-10, {12, 0.35}},
    {0.0, {12, 0.25}},
}};
constexpr int largest_order = 12;
constexpr MeshResolution preconditioner_resolution = {3, 0.8};

struct Splitting {
    double smearing;           // η, Å
    double cutoff;             // of the real-space sum, Å
    double reciprocal_cutoff;  // 1/Å
};

// As in ewald.py.
double decay_length(double accuracy);
Splitting splitting_with(double smearing, double largest_width, double accuracy);
Splitting choose_splitting(double volume, double largest_width, double accuracy);
// Edge of a cube that holds as many atoms as pairs and mesh together can best do with, Å. Directions (open, of these
// extents) in which the structure ends within the cube add nothing: of a sheet it is a square, of a chain a line.
double neighborhood_edge(double num_atoms, double volume, std::vector<double> extents);
double mesh_smearing(double edge, double largest_width, double accuracy);

using MeshShape = std::array<std::int64_t, 3>;
MeshResolution choose_resolution(double accuracy);
// The smallest even number with the factors 2, 3 and 5 only that is not below another.
std::int64_t good_size(double least);
MeshShape mesh_shape(const Matrix3& cell, double smearing, const MeshResolution& resolution);

}  // namespace mhdnn::electrostatics
