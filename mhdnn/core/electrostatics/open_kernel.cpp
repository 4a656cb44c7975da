#include "open_kernel.h"

#include <algorithm>
#include <cmath>

#include "cpu/rows.h"
#include "legendre.h"
#include "line_transform.h"
#include "splines.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

// erf(r/√2η)/r as a sum of Gaussians exp(-t²r²) up to a distance.
QuadratureRule quadrature(double smearing, double largest_distance) {
    const QuadratureRule unit = legendre_rule(nodes_per_panel);
    QuadratureRule result;
    double high = 1.0 / (std::sqrt(2.0) * smearing);
    const int halvings = std::max(0, static_cast<int>(std::ceil(std::log2(largest_distance * high))));
    for (int panel = 0; panel <= halvings; ++panel) {
        const double low = panel < halvings ? 0.5 * high : 0.0;
        for (int i = 0; i < nodes_per_panel; ++i) {
            result.nodes.push_back(0.5 * (high + low) + 0.5 * (high - low) * unit.nodes[i]);
            result.weights.push_back(2.0 / std::sqrt(pi) * 0.5 * (high - low) * unit.weights[i]);
        }
        high = low;
    }
    return result;
}

// Transforms of x^power exp(-t²x²) times the window; of the odd one the sine transform.
std::vector<double> axis_factors(
    const std::vector<double>& nodes, double period, double smearing, std::int64_t size, int power) {
    const auto num_nodes = static_cast<std::int64_t>(nodes.size());
    const std::int64_t count = 2 * size;
    std::vector<double> folded(num_nodes * count, 0.0);
    for (std::int64_t point = -count; point <= count; ++point) {
        const double x = period / static_cast<double>(count) * static_cast<double>(point);
        const double window = 0.5 * std::erfc((std::abs(x) - 0.5 * period) / (std::sqrt(2.0) * smearing));
        const double before = power == 0 ? window : power == 1 ? window * x : window * x * x;
        for (std::int64_t node = 0; node < num_nodes; ++node)
            folded[node * count + (point + count) % count] += std::exp(-(nodes[node] * x) * (nodes[node] * x)) * before;
    }
    const LineTransform& transform = LineTransform::of_length(count);
    std::vector<ComplexRow> waves(count), other(count);
    std::vector<Row> points(count);
    std::vector<double> result((size / 2 + 1) * num_nodes);
    const double step = period / static_cast<double>(count);
    for (std::int64_t first = 0; first < num_nodes; first += Row::width) {  // as many nodes as there are lanes
        std::int64_t rows[Row::width];
        const int num_rows = static_cast<int>(std::min<std::int64_t>(Row::width, num_nodes - first));
        for (int lane = 0; lane < Row::width; ++lane) rows[lane] = first + lane;
        cpu::load_rows(folded.data(), static_cast<int>(count), rows, num_rows, points.data());
        for (std::int64_t i = 0; i < count; ++i) waves[i] = {points[i], Row(0.0)};
        transform.forward(waves.data(), other.data());
        for (std::int64_t wave = 0; wave <= size / 2; ++wave)
            for (int lane = 0; lane < num_rows; ++lane) {
                const double value = power == 1 ? -waves[wave].imaginary[lane] : waves[wave].real[lane];
                result[wave * num_nodes + first + lane] = step * value;
            }
    }
    return result;
}

}  // namespace

Matrix3 OpenBox::vectors() const {
    Matrix3 result{};
    for (int axis = 0; axis < 3; ++axis) result[axis][axis] = period(axis);
    return result;
}

OpenKernel::OpenKernel(const OpenBox& box, const MeshPart& part, double smearing) : part_(part), shape_(part.shape()) {
    const QuadratureRule rule = quadrature(smearing, norm(box.extents));
    nodes_ = rule.nodes;
    weights_ = rule.weights;
    const double volume = box.period(0) * box.period(1) * box.period(2);
    for (double& weight : weights_) weight *= coulomb_constant / volume;
    for (int axis = 0; axis < 3; ++axis)
        for (int power = 0; power < 3; ++power)
            factors_[axis][power] = axis_factors(nodes_, box.period(axis), smearing, shape_[axis], power);
}

const double* OpenKernel::factors(int axis, int power, std::int64_t place) const {
    return &factors_[axis][power]
                    [std::abs(wave_number(place, shape_[axis])) * static_cast<std::int64_t>(nodes_.size())];
}

// Of the waves c of a line.
void OpenKernel::set_sums(
    const std::vector<double>& weights, const Powers& powers, std::int64_t a, std::int64_t b, Rows depths,
    double* result) const {
    const auto num_nodes = static_cast<std::int64_t>(nodes_.size());
    const double *const x = factors(0, powers[0], a), *const y = factors(1, powers[1], b);
    // sine transforms are odd, and two of them have the factor i² = -1
    double sign = powers[0] == 1 || powers[1] == 1 || powers[2] == 1 ? -1.0 : 1.0;
    if (powers[0] == 1 && wave_number(a, shape_[0]) < 0) sign = -sign;
    if (powers[1] == 1 && wave_number(b, shape_[1]) < 0) sign = -sign;
    std::vector<double> products(num_nodes);
    for (std::int64_t node = 0; node < num_nodes; ++node) products[node] = sign * weights[node] * x[node] * y[node];
    for (std::int64_t c = 0; c < depths.count; ++c) {
        const double* const z = &factors_[2][powers[2]][(depths.first + c) * num_nodes];
        double value = 0.0;
#pragma omp simd reduction(+ : value)
        for (std::int64_t node = 0; node < num_nodes; ++node) value += products[node] * z[node];
        result[c] = value;
    }
}

Buffer<double> OpenKernel::sum(const std::vector<double>& weights, const Powers& powers) const {
    const Rows lines = part_.lines();
    const std::int64_t depth = part_.depth(), end = lines.first + lines.count;
    Buffer<double> result(part_.num_waves());
    for_each_of(shape_[0], 1, [&](std::int64_t a) {
        for (std::int64_t line = lines.first, next; line < end; line = next) {
            next = std::min(end, (line / depth + 1) * depth);
            set_sums(
                weights, powers, a, part_.middle()[line / depth], {line % depth, next - line},
                &result[a * lines.count + line - lines.first]);
        }
    });
    return result;
}

Buffer<double> OpenKernel::values() const { return sum(weights_, {0, 0, 0}); }

Buffer<double> OpenKernel::strain_derivatives(int component) const {
    std::vector<double> weights = weights_;
    for (std::size_t node = 0; node < weights.size(); ++node) weights[node] *= -2.0 * nodes_[node] * nodes_[node];
    Powers powers = {0, 0, 0};
    ++powers[voigt_row[component]];
    ++powers[voigt_column[component]];
    return sum(weights, powers);
}

}  // namespace mhdnn::electrostatics
