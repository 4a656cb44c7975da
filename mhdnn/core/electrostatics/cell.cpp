#include "cell.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

constexpr double smallest_independence = 1e-6;

Vector3 vector_of(const Box& box, int axis) {
    return {box.vectors[axis][0], box.vectors[axis][1], box.vectors[axis][2]};
}

int num_periodic(const Box& box) { return box.periodic[0] + box.periodic[1] + box.periodic[2]; }

int open_axis(const Box& box) { return !box.periodic[0] ? 0 : !box.periodic[1] ? 1 : 2; }

Vector3 scaled(double factor, const Vector3& a) { return {factor * a[0], factor * a[1], factor * a[2]}; }

// Length of the shortest reciprocal vector of a plane lattice, 1/Å: Gauss's reduction.
double shortest_reciprocal(Vector3 a, Vector3 b) {
    if (dot(a, a) > dot(b, b)) std::swap(a, b);
    for (;;) {
        const double steps = std::nearbyint(dot(a, b) / dot(a, a));
        for (int axis = 0; axis < 3; ++axis) b[axis] -= steps * a[axis];
        if (dot(b, b) >= dot(a, a) * (1.0 - 1e-12)) break;
        std::swap(a, b);
    }
    return 2.0 * pi * norm(a) / norm(cross(a, b));
}

// Distance between a slab and its images at which what remains is below the accuracy, Å.
double vacuum_needed(double shortest, double largest_width, double accuracy) {
    const double logarithm = std::log(10.0 / accuracy);
    const double reach = std::sqrt(2.0 * logarithm);
    if (reach < largest_width * shortest) return reach * largest_width;
    return logarithm / shortest + 0.5 * largest_width * largest_width * shortest;
}

double sum_of(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double product_sum(const std::vector<double>& a, const std::vector<double>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

double Cell::volume() const { return std::abs(determinant(vectors)); }

double Cell::height(const double* position) const { return dot({position[0], position[1], position[2]}, normal); }

void check_box(const Box& box) {
    const int count = num_periodic(box);
    if (count == 0) return;
    if (count == 1)
        throw std::runtime_error(
            "boundary: expected no, two or three periodic directions, got one; charges in a wire are not supported: "
            "make all directions periodic, with vacuum around it");
    std::vector<Vector3> unit;
    double shortest = std::numeric_limits<double>::max();
    for (int axis = 0; axis < 3; ++axis)
        if (box.periodic[axis]) {
            shortest = std::min(shortest, norm(vector_of(box, axis)));
            unit.push_back(scaled(1.0 / norm(vector_of(box, axis)), vector_of(box, axis)));
        }
    const Vector3 normal = cross(unit[0], unit[1]);
    const double independence = count == 2 ? norm(normal) : std::abs(dot(normal, unit[2]));
    if (!(shortest > 1e-8) || !(independence > smallest_independence))
        throw std::runtime_error(
            "box: expected linearly independent vectors of the periodic directions, got zero or parallel ones; give "
            "the "
            "box, or leave directions open where the structure is not periodic");
}

Cell periodic_cell(const Box& box, const std::vector<double>& positions, double largest_width, double accuracy) {
    Cell cell;
    for (int axis = 0; axis < 3; ++axis) cell.vectors[axis] = vector_of(box, axis);
    if (num_periodic(box) == 3) return cell;
    const int open = open_axis(box);
    const Vector3 &first = cell.vectors[(open + 1) % 3], &second = cell.vectors[(open + 2) % 3];
    const Vector3 normal = cross(first, second);
    cell.slab = true;
    cell.normal = scaled(1.0 / norm(normal), normal);
    double lowest = std::numeric_limits<double>::max(), highest = -lowest;
    for (std::size_t atom = 0; 3 * atom < positions.size(); ++atom) {
        const double height = cell.height(&positions[3 * atom]);
        lowest = std::min(lowest, height);
        highest = std::max(highest, height);
    }
    cell.middle = 0.5 * (lowest + highest);
    cell.thickness = highest - lowest;
    cell.vacuum = vacuum_needed(shortest_reciprocal(first, second), largest_width, accuracy);
    cell.length = std::ceil(cell.thickness + cell.vacuum);
    cell.vectors[open] = scaled(cell.length, cell.normal);
    return cell;
}

double convexity_constant(const Cell& cell, double largest_width) {
    if (!cell.slab) return 0.0;
    return 2.0 * pi * coulomb_constant / cell.volume() * cell.length * (cell.thickness + 8.0 * largest_width);
}

Background::Background(
    const Cell& cell, const std::vector<double>& positions, const std::vector<double>& widths, double smearing)
    : normal_(cell.normal), slab_(cell.slab), prefactor_(2.0 * pi * coulomb_constant / cell.volume()),
      constant_(smearing * smearing + cell.length * cell.length / 6.0), smearing_(smearing), offset_(widths.size()),
      height_(widths.size(), 0.0) {
    for (std::size_t atom = 0; atom < widths.size(); ++atom) {
        if (slab_) height_[atom] = cell.height(&positions[3 * atom]) - cell.middle;
        offset_[atom] = slab_ ? height_[atom] * height_[atom] : -widths[atom] * widths[atom];
    }
}

std::vector<double> Background::potential(const std::vector<double>& q) const {
    const double total = sum_of(q), weighted = product_sum(offset_, q), dipole = product_sum(height_, q);
    std::vector<double> result(q.size());
    for (std::size_t atom = 0; atom < q.size(); ++atom)
        result[atom] = -prefactor_ * ((constant_ + offset_[atom]) * total + weighted - 2.0 * height_[atom] * dipole);
    return result;
}

void Background::add_to_matrix(double* matrix) const {
    const std::size_t size = offset_.size();
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            matrix[i * size + j] -= prefactor_ * (constant_ + offset_[i] + offset_[j] - 2.0 * height_[i] * height_[j]);
}

// B grows as 1/V and, of a slab, as (z_i - z_j)².
std::vector<double> Background::moved_potential(const Motion& motion, const std::vector<double>& q) const {
    const double along_normal = dot(normal_, multiply(normal_, motion.strain));
    std::vector<double> moved(q.size(), 0.0), result = potential(q);
    for (std::size_t atom = 0; slab_ && atom < q.size(); ++atom)
        moved[atom] = dot(normal_, motion.displacement(static_cast<std::int64_t>(atom))) + height_[atom] * along_normal;
    const double total = sum_of(q), dipole = product_sum(height_, q), moved_dipole = product_sum(moved, q);
    double moved_square = 0.0;
    for (std::size_t atom = 0; atom < q.size(); ++atom) moved_square += height_[atom] * moved[atom] * q[atom];
    for (std::size_t atom = 0; atom < q.size(); ++atom) {
        const double slope = height_[atom] * (moved[atom] * total - moved_dipole) - moved[atom] * dipole + moved_square;
        result[atom] = -(motion.trace() - along_normal) * result[atom] - 2.0 * prefactor_ * slope;
    }
    return result;
}

// With B for its part of A and n for the normal (zero with three directions), the strain derivatives are
//   at fixed length L of the cell:  dB = -B δ + (3 B + 2 p c) n n      (V and the heights change)
//   with L strained:                dB = -B δ + (2 B + 2 p η²) n n
void Background::add_derivatives(
    const std::vector<double>& p, const std::vector<double>& q, const Processes& processes, Voigt& strain,
    Derivatives& result) const {
    const double total_p = sum_of(p), total_q = sum_of(q);
    const double dipole_p = product_sum(height_, p), dipole_q = product_sum(height_, q);
    const auto potential_q = potential(q), potential_p = potential(p);
    const Vector3& n = normal_;
    const auto add_strain = [&](double* voigt, double isotropic, double normal) {
        for (int c = 0; c < 3; ++c) voigt[c] -= isotropic;
        add_symmetric(voigt, normal, n, n);
    };
    const double form = product_sum(p, potential_q);
    add_strain(strain.data(), form, 3.0 * form + 2.0 * prefactor_ * constant_ * total_p * total_q);
    for (std::int64_t own = 0; own < processes.num_local; ++own) {
        const std::int64_t atom = processes.first + own;
        const double slope =
            -2.0 * prefactor_ *
            (p[atom] * (height_[atom] * total_q - dipole_q) + q[atom] * (height_[atom] * total_p - dipole_p));
        if (slab_)
            for (int axis = 0; axis < 3; ++axis) result.positions[3 * own + axis] += slope * n[axis];
        if (result.strain_per_atom.empty()) continue;
        const double part = 0.5 * (p[atom] * potential_q[atom] + q[atom] * potential_p[atom]);
        const double totals = 0.5 * (p[atom] * total_q + q[atom] * total_p);
        add_strain(
            &result.strain_per_atom[6 * own], part, 2.0 * part + 2.0 * prefactor_ * smearing_ * smearing_ * totals);
    }
}

}  // namespace mhdnn::electrostatics
