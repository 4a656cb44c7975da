// What is chosen for an accuracy: the same as in Python, file by file. A test compares the numbers.
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

constexpr std::int64_t largest_dense = 400;      // assembly.py: atoms
constexpr int nodes_per_panel = 10;              // open_kernel.py
constexpr double space_above = 2.0;              // plan.py, Å
constexpr double smallest_pivot = 1e-13;         // dense.py
constexpr double smearing_per_length = 0.11;     // ewald.py
constexpr double neighbors_with_mesh = 200.0;    // ewald.py
constexpr double smearing_step = 1.1;            // ewald.py: in_steps
constexpr double tolerance_per_accuracy = 1e-2;  // system.py: build_coulomb
constexpr double smallest_tolerance = 1e-13;     // iterative.py
constexpr int most_iterations = 500;             // iterative.py
constexpr double coarsening = 1.3;               // preconditioner.py
constexpr int num_aliases = 12;                  // splines.py

// costs.py
constexpr double seconds_per_element[2] = {2.5e-7, 5e-7};  // open, periodic
constexpr double seconds_per_point = 1e-6;
constexpr double seconds_per_atom = 2e-4;
constexpr int measured_order = 7;
constexpr double bytes_per_element = 200.0;
constexpr double bytes_per_point = 100.0;
constexpr double bytes_per_spline_point = 50.0;
constexpr double bytes_per_atom = 40e3;

struct MeshResolution {
    int order;       // of the splines
    double spacing;  // largest, in units of the smearing
};

struct ResolutionEntry {
    double lowest_accuracy;
    MeshResolution resolution;
};

constexpr std::array<ResolutionEntry, 6> resolutions = {{
    {1e-4, {5, 0.55}},
    {1e-5, {6, 0.50}},
    {1e-6, {7, 0.42}},
    {1e-8, {10, 0.40}},
    {1e-10, {12, 0.35}},
    {0.0, {12, 0.25}},
}};  // mesh.py
constexpr int largest_order = 12;
constexpr MeshResolution preconditioner_resolution = {3, 0.8};  // preconditioner.py

struct Splitting {
    double smearing;           // η, Å
    double cutoff;             // of the real-space sum, Å
    double reciprocal_cutoff;  // 1/Å
};

// ewald.py
double decay_length(double accuracy);
Splitting splitting_with(double smearing, double largest_width, double accuracy);
Splitting choose_splitting(double volume, double largest_width, double accuracy);
double neighborhood_edge(double num_atoms, double volume, std::vector<double> extents);
double mesh_smearing(double edge, double largest_width, double accuracy);

// mesh.py
using MeshShape = std::array<std::int64_t, 3>;
MeshResolution choose_resolution(double accuracy);
std::int64_t good_size(double least);
MeshShape mesh_shape(const Matrix3& cell, double smearing, const MeshResolution& resolution);

}  // namespace mhdnn::electrostatics
