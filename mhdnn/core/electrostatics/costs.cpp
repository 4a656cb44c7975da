#include "costs.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <stdexcept>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

constexpr double bytes_always_there = 2.5e8;
constexpr const char* limits_of_containers[] = {
    "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};

// Bytes that are free, as far as the system says.
double available_memory() {
    double result = std::numeric_limits<double>::infinity(), kilobytes;
    std::ifstream meminfo("/proc/meminfo");
    for (std::string line; std::getline(meminfo, line);)
        if (std::istringstream stream(line); stream >> line && line == "MemAvailable:" && stream >> kilobytes)
            result = 1024.0 * kilobytes;
    for (const char* path : limits_of_containers) {
        double limit;
        if (std::ifstream(path) >> limit) result = std::min(result, limit);  // or the word max
    }
    return result;
}

bool fits_everywhere(double bytes, const Processes& processes) {
    if (bytes < bytes_always_there) return true;
    double too_large = bytes > available_memory() ? 1.0 : 0.0;
    processes.sum(&too_large, 1);
    return too_large == 0.0;
}

std::string gigabytes(double bytes) {
    const auto tenths = static_cast<long long>(std::llround(bytes / 1e8));
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

}  // namespace

Cost dense_cost(double num_atoms, bool periodic) {
    const double elements = num_atoms * num_atoms;
    return {seconds_per_element[periodic ? 1 : 0] * elements, bytes_per_element * elements};
}

Cost mesh_cost(double num_atoms, double num_points, int order) {
    const double spline_points = static_cast<double>(order) * order * order;
    const double relative = static_cast<double>(order) / measured_order;
    return {
        seconds_per_point * num_points + seconds_per_atom * (relative * relative * relative) * num_atoms,
        bytes_per_point * num_points + (bytes_per_atom + bytes_per_spline_point * spline_points) * num_atoms};
}

bool prefers_mesh(const Cost& mesh, const Cost& dense, const Processes& processes) {
    const bool mesh_fits = fits_everywhere(mesh.bytes, processes), dense_fits = fits_everywhere(dense.bytes, processes);
    if (mesh_fits != dense_fits) return mesh_fits;
    return mesh.seconds < dense.seconds;
}

void check_memory(double bytes, const std::string& what, const std::string& remedy, const Processes& processes) {
    if (fits_everywhere(bytes, processes)) return;
    throw std::runtime_error(
        "solver: expected a system that fits into the free memory, got " + what + ", which takes about " +
        gigabytes(bytes) + " of each process; " + remedy);
}

}  // namespace mhdnn::electrostatics
