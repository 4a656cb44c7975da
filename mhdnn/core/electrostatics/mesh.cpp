#include "mesh.h"

#include <algorithm>
#include <cmath>

#include "splines.h"

namespace mhdnn::electrostatics {
namespace {

constexpr std::int64_t atoms_worth_a_thread = 64, lines_worth_a_thread = 256;

int row_width(int order) { return order <= 4 ? 4 : order <= 8 ? 8 : 12; }

// Calls function with the width of a row of weights as a constant.
template <typename Function>
auto with_width(int width, const Function& function) {
    if (width == 4) return function(std::integral_constant<int, 4>());
    if (width == 8) return function(std::integral_constant<int, 8>());
    return function(std::integral_constant<int, 12>());
}

// Planes of a range that an atom's points are in: counted from the first, and which of its points.
struct Planes {
    int count = 0;
    std::int64_t plane[largest_order];
    int point[largest_order];

    Planes(std::int64_t start, int order, std::int64_t size, Rows range) {
        for (int i = 0; i < order; ++i) {
            const std::int64_t x = start + i < size ? start + i : start + i - size;
            plane[count] = x - range.first;
            point[count] = i;
            count += x >= range.first && x < range.first + range.count ? 1 : 0;
        }
    }
};

}  // namespace

Green::Green(const Matrix3& cell, const MeshShape& shape, double smearing)
    : reciprocal_(inverse(cell)), shape_(shape), volume_(std::abs(determinant(cell))), smearing_(smearing) {}

Vector3 Green::wave_vector(const WavePlace& place) const {
    const Vector3 numbers = {
        2.0 * pi * static_cast<double>(wave_number(place[0], shape_[0])),
        2.0 * pi * static_cast<double>(wave_number(place[1], shape_[1])), 2.0 * pi * static_cast<double>(place[2])};
    return {dot(reciprocal_[0], numbers), dot(reciprocal_[1], numbers), dot(reciprocal_[2], numbers)};
}

// (4π/V) exp(-η²k²/2)/k²
GreenValue Green::at(double squared) const {
    if (squared == 0.0) return {0.0, 0.0};
    const double scale = coulomb_constant * 4.0 * pi / volume_;
    const double value = scale * std::exp(-0.5 * smearing_ * smearing_ * squared) / squared;
    return {value, value * (-0.5 * smearing_ * smearing_ - 1.0 / squared)};
}

Influence::Influence(const MeshShape& shape, int order) {
    for (int axis = 0; axis < 3; ++axis) factors_[axis] = influence_factor(shape[axis], order);
}

Mesh::Mesh(const Matrix3& cell, const MeshPart& part, int order, const std::vector<double>& positions)
    : part_(part), shape_(part.shape()), planes_(part.planes()), order_(order), width_(row_width(order)),
      num_atoms_(static_cast<std::int64_t>(positions.size() / 3)), to_coordinates_(inverse(cell)),
      coefficients_(spline_coefficients(order)), offsets_(3 * num_atoms_), starts_(3 * num_atoms_),
      weights_(3 * num_atoms_ * width_) {
    for (auto& row : to_coordinates_)
        for (int axis = 0; axis < 3; ++axis) row[axis] *= static_cast<double>(shape_[axis]);
    for_each_of(num_atoms_, atoms_worth_a_thread, [&](std::int64_t atom) {
        const double* const position = &positions[3 * atom];
        const Vector3 coordinates = multiply({position[0], position[1], position[2]}, to_coordinates_);
        for (int axis = 0; axis < 3; ++axis) {
            const double first = std::floor(coordinates[axis]);
            const auto size = static_cast<double>(shape_[axis]);
            const double start = first - (order - 1);  // splines reach back from the point above
            offsets_[3 * atom + axis] = coordinates[axis] - first;
            starts_[3 * atom + axis] = static_cast<std::int32_t>(start - size * std::floor(start / size));
        }
    });
    choose_atoms();
    for_each_of(static_cast<std::int64_t>(atoms_.size()), atoms_worth_a_thread, [&](std::int64_t number) {
        const std::int64_t row = 3 * atoms_[number];
        for (int axis = 0; axis < 3; ++axis) weights_of(offsets_[row + axis], false, &weights_[(row + axis) * width_]);
    });
}

void Mesh::choose_atoms() {
    for (std::int64_t atom = 0; atom < num_atoms_; ++atom) {
        const std::int64_t above =
            starts_[3 * atom] - planes_.first;  // points of the atom begin so far above the first
        const bool reaches = above < planes_.count && above + order_ > 0;
        const bool reaches_around = above + order_ > shape_[0];
        if (planes_.count > 0 && (reaches || reaches_around)) atoms_.push_back(static_cast<std::int32_t>(atom));
    }
}

// Ascending points have descending pieces of the spline.
void Mesh::weights_of(double offset, bool derivative, double* weights) const {
    std::fill_n(weights, width_, 0.0);
    for (int point = 0; point < order_; ++point) {
        const double* const piece = &coefficients_[(order_ - 1 - point) * order_];
        double sum = 0.0;
        for (int k = order_ - 1; k >= (derivative ? 1 : 0); --k) sum = sum * offset + (derivative ? k : 1) * piece[k];
        weights[point] = sum;
    }
}

template <int width>
void Mesh::spread_planes(
    const std::vector<double>& charges, std::int64_t first, std::int64_t last, double* padded) const {
    const std::int64_t row = shape_[2] + width;
    for (const std::int64_t atom : atoms_) {
        const double* const weights = &weights_[3 * atom * width];
        const std::int32_t* const start = &starts_[3 * atom];
        double z[width];
        for (int k = 0; k < width; ++k) z[k] = charges[atom] * weights[2 * width + k];
        const Planes planes(start[0], order_, shape_[0], {first, last - first});
        for (int n = 0; n < planes.count; ++n) {
            const int i = planes.point[n];
            const std::int64_t plane = first - planes_.first + planes.plane[n];
            for (int j = 0; j < order_; ++j) {
                const std::int64_t y = start[1] + j < shape_[1] ? start[1] + j : start[1] + j - shape_[1];
                const double weight = weights[i] * weights[width + j];
                double* const points = padded + (plane * shape_[1] + y) * row + start[2];
                for (int k = 0; k < width; ++k) points[k] += weight * z[k];
            }
        }
    }
}

// Each range of planes is one thread's, so that the order of sums doesn't depend on the threads.
Buffer<double> Mesh::spread(const std::vector<double>& charges) const {
    const std::int64_t row = shape_[2] + width_;
    Buffer<double> padded(planes_.count * shape_[1] * row), mesh(part_.num_points());
    const int num_threads = most_threads();
    const std::int64_t fewest_planes = std::max<std::int64_t>(order_, planes_.count / (2 * num_threads));
    for_ranges(planes_.count, fewest_planes, num_threads, [&](std::int64_t first, std::int64_t last) {
        std::fill(padded.data() + first * shape_[1] * row, padded.data() + last * shape_[1] * row, 0.0);
        with_width(width_, [&](auto width) {
            spread_planes<width()>(charges, planes_.first + first, planes_.first + last, padded.data());
        });
        for (std::int64_t line = first * shape_[1]; line < last * shape_[1]; ++line) {
            double* const points = &padded[line * row];
            for (int k = 0; k < width_; ++k) points[k] += points[shape_[2] + k];
            std::copy_n(points, shape_[2], &mesh[line * shape_[2]]);
        }
    });
    return mesh;
}

// For each axis its weights are replaced by their slopes.
Buffer<double> Mesh::spread_moved(const std::vector<double>& charges, const std::vector<double>& displacements) const {
    Buffer<double> result(part_.num_points());
    std::fill_n(result.data(), result.size(), 0.0);
    std::vector<double> scaled(num_atoms_);
    for (int axis = 0; axis < 3; ++axis) {
        Mesh sloped = *this;
        for (const std::int64_t atom : atoms_) {
            const double* const d = &displacements[3 * atom];
            weights_of(offsets_[3 * atom + axis], true, &sloped.weights_[(3 * atom + axis) * width_]);
            scaled[atom] = charges[atom] * multiply({d[0], d[1], d[2]}, to_coordinates_)[axis];
        }
        const auto part = sloped.spread(scaled);
        for (std::size_t point = 0; point < result.size(); ++point) result[point] += part[point];
    }
    return result;
}

// The mesh with the beginning of each line repeated behind its end.
Buffer<double> Mesh::padded(const Buffer<double>& mesh) const {
    const std::int64_t row = shape_[2] + width_, num_lines = planes_.count * shape_[1];
    Buffer<double> result(num_lines * row);
    for_each_of(num_lines, lines_worth_a_thread, [&](std::int64_t line) {
        std::copy_n(&mesh[line * shape_[2]], shape_[2], &result[line * row]);
        std::copy_n(&mesh[line * shape_[2]], width_, &result[line * row + shape_[2]]);
    });
    return result;
}

template <int width>
double Mesh::value(std::int64_t atom, const double* padded) const {
    const std::int64_t row = shape_[2] + width;
    const double* const weights = &weights_[3 * atom * width];
    const std::int32_t* const start = &starts_[3 * atom];
    double line[width] = {};
    const Planes planes(start[0], order_, shape_[0], planes_);
    for (int n = 0; n < planes.count; ++n) {
        const int i = planes.point[n];
        const std::int64_t plane = planes.plane[n];
        for (int j = 0; j < order_; ++j) {
            const std::int64_t y = start[1] + j < shape_[1] ? start[1] + j : start[1] + j - shape_[1];
            const double weight = weights[i] * weights[width + j];
            const double* const points = padded + (plane * shape_[1] + y) * row + start[2];
            for (int k = 0; k < width; ++k) line[k] += weight * points[k];
        }
    }
    double sum = 0.0;
    for (int k = 0; k < width; ++k) sum += weights[2 * width + k] * line[k];
    return sum;
}

template <int width>
Vector3 Mesh::gradient(std::int64_t atom, const double* padded, const double* slopes) const {
    const std::int64_t row = shape_[2] + width;
    const double* const weights = &weights_[3 * atom * width];
    const std::int32_t* const start = &starts_[3 * atom];
    double by_x[width] = {}, by_y[width] = {}, plain[width] = {};
    const Planes planes(start[0], order_, shape_[0], planes_);
    for (int n = 0; n < planes.count; ++n) {
        const int i = planes.point[n];
        const std::int64_t plane = planes.plane[n];
        for (int j = 0; j < order_; ++j) {
            const std::int64_t y = start[1] + j < shape_[1] ? start[1] + j : start[1] + j - shape_[1];
            const double* const points = padded + (plane * shape_[1] + y) * row + start[2];
            const double wx = slopes[i] * weights[width + j], wy = weights[i] * slopes[width + j],
                         w = weights[i] * weights[width + j];
            for (int k = 0; k < width; ++k) {
                by_x[k] += wx * points[k];
                by_y[k] += wy * points[k];
                plain[k] += w * points[k];
            }
        }
    }
    Vector3 by_coordinate = {0.0, 0.0, 0.0}, result;
    for (int k = 0; k < width; ++k) {
        by_coordinate[0] += weights[2 * width + k] * by_x[k];
        by_coordinate[1] += weights[2 * width + k] * by_y[k];
        by_coordinate[2] += slopes[2 * width + k] * plain[k];
    }
    for (int axis = 0; axis < 3; ++axis) result[axis] = dot(to_coordinates_[axis], by_coordinate);
    return result;
}

void Mesh::interpolate(const Buffer<double>& mesh, double* values) const {
    const auto points = padded(mesh);
    with_width(width_, [&](auto width) {
        for_each_of(static_cast<std::int64_t>(atoms_.size()), atoms_worth_a_thread, [&](std::int64_t number) {
            values[atoms_[number]] += value<width()>(atoms_[number], points.data());
        });
    });
}

std::vector<double> Mesh::gradients(const Buffer<double>& mesh) const {
    const auto points = padded(mesh);
    std::vector<double> result(3 * num_atoms_, 0.0);
    with_width(width_, [&](auto width) {
        for_each_of(static_cast<std::int64_t>(atoms_.size()), atoms_worth_a_thread, [&](std::int64_t number) {
            const std::int64_t atom = atoms_[number];
            double slopes[3 * width()];
            for (int axis = 0; axis < 3; ++axis) weights_of(offsets_[3 * atom + axis], true, slopes + axis * width());
            const Vector3 gradient = this->gradient<width()>(atom, points.data(), slopes);
            std::copy(gradient.begin(), gradient.end(), &result[3 * atom]);
        });
    });
    return result;
}

}  // namespace mhdnn::electrostatics
