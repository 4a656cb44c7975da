// The CPU kernels without torch, for sanitizers: functions against sums over pairs written out, gradients and
// their derivatives against central differences. Prints what differs and returns 1.
#include <cmath>
#include <cstdio>
#include <random>

#include "cpu/evaluate.h"

using namespace mhdnn;
using namespace mhdnn::cpu;

constexpr int num_elements = 2, num_channels = 2, num_radial = 2, max_degree = 3;
constexpr double cutoff = 4.0;
int num_failures = 0;

template <class T>
struct System {
    std::vector<std::int64_t> first_pair{0}, element;
    std::vector<T> vectors, table{T(0.7), T(-0.4), T(1.3), T(0.2)}, etas{T(0.1), T(0.6)}, shifts{T(0), T(1.4)};

    explicit System(const std::vector<int>& counts) {
        std::mt19937 generator(1);
        std::normal_distribution<double> normal;
        std::uniform_real_distribution<double> uniform(1.0, 1.05 * cutoff);
        for (const int count : counts) {
            for (int k = 0; k < count; ++k) {
                double v[3] = {normal(generator), normal(generator), normal(generator)};
                const double scale = uniform(generator) / std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
                for (const double x : v) vectors.push_back(T(scale * x));
                element.push_back(generator() % num_elements);
            }
            first_pair.push_back(first_pair.back() + count);
        }
    }
    std::int64_t num_atoms() const { return std::int64_t(first_pair.size()) - 1; }
};

template <class T>
struct Result {
    std::vector<T> functions, vector_gradient, table_gradient;
};

template <class T, class Shape>
Result<T> evaluate(
    const Shape& shape, const System<T>& system, const std::vector<T>& cotangent = {},
    const std::vector<T>& tangents = {}) {
    const std::int64_t groups = cpu::num_groups<T>(system.num_atoms());
    const std::vector<T> no_table_tangents(system.table.size(), T(0));
    Result<T> result;
    result.functions.resize(system.num_atoms() * shape.num_functions());
    result.vector_gradient.resize(system.vectors.size());
    result.table_gradient.resize(groups * system.table.size());
    const Arguments<T> arguments{
        system.num_atoms(),
        system.first_pair.data(),
        system.element.data(),
        system.vectors.data(),
        tangents.empty() ? nullptr : tangents.data(),
        system.table.data(),
        tangents.empty() ? nullptr : no_table_tangents.data(),
        {system.etas.data(), system.shifts.data(), num_radial, T(cutoff), CutoffFunction::tanh},
        cotangent.empty() ? nullptr : cotangent.data(),
        result.functions.data(),
        result.vector_gradient.data(),
        result.table_gradient.data()};
    std::vector<std::int64_t> order(system.num_atoms());
    cpu::sort_atoms(arguments, num_elements, 0, system.num_atoms(), order.data());
    if (tangents.empty()) {
        cpu::evaluate_groups<Lanes<T>>(shape, arguments, order, 0, groups);
    } else {
        cpu::evaluate_groups<Dual<Lanes<T>>>(shape, arguments, order, 0, groups);
    }
    return result;
}

void expect(const char* what, double found, double expected, double scale, double tolerance) {
    if (std::abs(found - expected) <= tolerance * scale) return;
    std::printf("%s: found %.12g, expected %.12g\n", what, found, expected);
    ++num_failures;
}

double radial(const System<double>& s, std::int64_t pair, int n) {
    const double* v = s.vectors.data() + 3 * pair;
    const double r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    if (r > cutoff) return 0.0;
    return std::exp(-s.etas[n] * std::pow(r - s.shifts[n], 2)) *
           std::pow(std::tanh(1 - r / cutoff) / std::tanh(1.0), 3);
}

double cosine(const System<double>& s, std::int64_t j, std::int64_t k) {
    double dot = 0, first = 0, second = 0;
    for (int a = 0; a < 3; ++a) {
        dot += s.vectors[3 * j + a] * s.vectors[3 * k + a];
        first += s.vectors[3 * j + a] * s.vectors[3 * j + a];
        second += s.vectors[3 * k + a] * s.vectors[3 * k + a];
    }
    return dot / std::sqrt(first * second);
}

double legendre(int degree, double x) {
    double before = 1.0, value = x;
    if (degree == 0) return 1.0;
    for (int l = 2; l <= degree; ++l) {
        const double next = ((2 * l - 1) * x * value - (l - 1) * before) / l;
        before = value;
        value = next;
    }
    return value;
}

void check_legendre_values(const MomentShape& shape, const System<double>& s) {
    const auto found = evaluate(shape, s).functions;
    for (std::int64_t atom = 0; atom < s.num_atoms(); ++atom) {
        for (int p = 0; p < shape.num_densities(); ++p) {
            for (int q = p; q < shape.num_densities(); ++q) {
                for (int l = 0; l <= max_degree; ++l) {
                    double total = 0;
                    for (auto j = s.first_pair[atom]; j < s.first_pair[atom + 1]; ++j) {
                        for (auto k = s.first_pair[atom]; k < s.first_pair[atom + 1]; ++k) {
                            total += s.table[s.element[j] * num_channels + p / num_radial] *
                                     radial(s, j, p % num_radial) *
                                     s.table[s.element[k] * num_channels + q / num_radial] *
                                     radial(s, k, q % num_radial) * legendre(l, cosine(s, j, k));
                        }
                    }
                    const int place = shape.pair(p, q) * shape.num_degrees() + l;
                    expect("legendre", found[atom * shape.num_functions() + place], total, 1.0, 1e-11);
                }
            }
        }
    }
}

/// Gradients and their derivatives along a direction, against central differences.
template <class Shape>
void check_derivatives(const char* what, const Shape& shape, const System<double>& s) {
    std::vector<double> cotangent(s.num_atoms() * shape.num_functions()), direction(s.vectors.size());
    for (std::size_t i = 0; i < cotangent.size(); ++i) cotangent[i] = std::sin(1.0 + i);
    for (std::size_t i = 0; i < direction.size(); ++i) direction[i] = std::cos(2.0 + i);
    const double step = 1e-5;
    System<double> forward = s, backward = s;
    for (std::size_t i = 0; i < direction.size(); ++i) {
        forward.vectors[i] += step * direction[i];
        backward.vectors[i] -= step * direction[i];
    }
    const auto plus = evaluate(shape, forward, cotangent), minus = evaluate(shape, backward, cotangent);
    const auto here = evaluate(shape, s, cotangent), along = evaluate(shape, s, cotangent, direction);
    double slope = 0, difference = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) slope += here.vector_gradient[i] * direction[i];
    for (std::size_t i = 0; i < cotangent.size(); ++i) {
        const double numerical = (plus.functions[i] - minus.functions[i]) / (2 * step);
        difference += cotangent[i] * numerical;
        expect(what, along.functions[i], numerical, 1.0, 1e-7);
    }
    expect(what, slope, difference, std::abs(difference) + 1.0, 1e-8);
    for (std::size_t i = 0; i < direction.size(); ++i) {
        const double numerical = (plus.vector_gradient[i] - minus.vector_gradient[i]) / (2 * step);
        expect(what, along.vector_gradient[i], numerical, 10.0, 1e-7);
    }
    const auto single = evaluate(shape, System<float>({5, 0, 19, 3}), std::vector<float>(4 * shape.num_functions(), 1));
    for (const float value : single.vector_gradient) expect(what, std::isfinite(value), 1.0, 1.0, 0.0);
}

int main() {
    const std::vector<std::int64_t> radial_index{0, 1, 1}, power_index{0, 1, 2}, zetas{1, 2, 5}, lambdas{1, -1, 1};
    const auto triplets = [&](bool third_side) {
        return TripletShape{num_elements,       num_channels, num_radial,    3, 3, third_side, radial_index.data(),
                            power_index.data(), zetas.data(), lambdas.data()};
    };
    const MomentShape legendre_shape{num_elements, num_channels, num_radial, max_degree, true, true};
    const MomentShape degrees{num_elements, num_channels, num_radial, max_degree, false, false};
    const std::vector<std::vector<int>> all_counts{{}, {0}, {6}, {5, 0, 19, 3}, std::vector<int>(37, 4)};
    for (const auto& counts : all_counts) {
        const System<double> system(counts);
        check_legendre_values(legendre_shape, system);
        check_derivatives("radial", RadialShape{num_elements, num_channels, num_radial}, system);
        check_derivatives("legendre", legendre_shape, system);
        check_derivatives("degrees", degrees, system);
        check_derivatives("narrow", triplets(true), system);
        check_derivatives("wide", triplets(false), system);
    }
    std::printf("%d failures\n", num_failures);
    return num_failures > 0;
}
