// What the dense matrix and the mesh cost, and what doesn't fit into memory.
#pragma once

#include <string>

#include "charge_system.h"

namespace mhdnn::electrostatics {

struct Cost {
    double seconds, bytes;
};

Cost dense_cost(double num_atoms, bool periodic);
Cost mesh_cost(double num_atoms, double num_points, int order);

// Whether the mesh is faster than the dense matrix, or the only one that fits into memory; the same on all processes.
bool prefers_mesh(const Cost& mesh, const Cost& dense, const Processes& processes);
// Throws, on all processes, if one of them has less memory than is needed.
void check_memory(double bytes, const std::string& what, const std::string& remedy, const Processes& processes);

}  // namespace mhdnn::electrostatics
