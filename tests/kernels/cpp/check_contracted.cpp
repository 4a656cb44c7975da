// The CPU kernels of contracted functions without torch, for sanitizers: moments against sums written out, gradients
// of functions of the moments and their derivatives against central differences, invariants under a rotation. Prints
// what differs and returns 1.
#include <cmath>
#include <cstdio>
#include <random>

#include "cpu/densities.h"
#include "cpu/invariants.h"

using namespace mhdnn;
using namespace mhdnn::cpu;

constexpr int num_elements = 2, num_densities = 3, num_radial = 2;
constexpr double cutoff = 4.0;
DensityShape shape{num_elements, num_densities, num_radial, 0};  // the degree changes
int num_failures = 0;

void expect(const char* what, double found, double expected, double scale, double tolerance) {
    if (std::abs(found - expected) <= tolerance * scale) return;
    std::printf("%s: found %.12g, expected %.12g\n", what, found, expected);
    ++num_failures;
}

template <class T>
struct System {
    std::vector<std::int64_t> first_pair{0}, neighbor_element, center_element;
    std::vector<T> vectors, coefficients, etas{T(0.3), T(0.6)}, shifts{T(0.5), T(1.9)};

    explicit System(const std::vector<int>& counts) {
        std::mt19937 generator(1);
        std::normal_distribution<double> normal;
        std::uniform_real_distribution<double> uniform(1.0, 1.05 * cutoff);
        for (const int count : counts) {
            center_element.push_back(generator() % num_elements);
            for (int k = 0; k < count; ++k) {
                double v[3] = {normal(generator), normal(generator), normal(generator)};
                const double scale = uniform(generator) / std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
                for (const double x : v) vectors.push_back(T(scale * x));
                neighbor_element.push_back(generator() % num_elements);
            }
            first_pair.push_back(first_pair.back() + count);
        }
        for (int i = 0; i < shape.num_coefficients(); ++i) coefficients.push_back(T(normal(generator)));
    }
    std::int64_t num_atoms() const { return std::int64_t(first_pair.size()) - 1; }
};

template <class T>
struct Result {
    std::vector<T> moments, vector_gradient, coefficient_gradient;  // the last one summed, in the kernel's rows
};

/// With a cotangent gradients, with tangents (vectors, coefficients) derivatives.
template <class T>
Result<T> evaluate(
    const System<T>& s, const std::vector<T>& cotangent = {}, const std::vector<T>& vector_tangents = {},
    const std::vector<T>& coefficient_tangents = {}) {
    const std::int64_t groups = num_groups<T>(s.num_atoms());
    const std::size_t size = coefficient_gradient_size<T>(shape);
    const bool has_tangents = !coefficient_tangents.empty();
    Result<T> result;
    result.moments.resize(s.num_atoms() * shape.num_moments());
    result.vector_gradient.resize(s.vectors.size());
    std::vector<T> of_groups(groups * size);
    const Arguments<T> arguments{
        s.num_atoms(),
        s.first_pair.data(),
        s.neighbor_element.data(),
        s.vectors.data(),
        has_tangents ? vector_tangents.data() : nullptr,
        s.coefficients.data(),
        has_tangents ? coefficient_tangents.data() : nullptr,
        {s.etas.data(), s.shifts.data(), num_radial, T(cutoff), CutoffFunction::polynomial},
        cotangent.empty() ? nullptr : cotangent.data(),
        result.moments.data(),
        result.vector_gradient.data(),
        of_groups.data(),
        s.center_element.data()};
    std::vector<std::int64_t> order(s.num_atoms());
    sort_atoms(arguments, 1, 0, s.num_atoms(), order.data());
    if (has_tangents) {
        evaluate_densities<Dual<Lanes<T>>>(shape, arguments, order, 0, groups);
    } else {
        evaluate_densities<Lanes<T>>(shape, arguments, order, 0, groups);
    }
    const int row = num_rows<T>(num_densities) * Lanes<T>::width;
    for (int i = 0; i < shape.num_coefficients(); ++i) {
        const int pair = i / shape.block(), n = i % shape.block() / num_radial, k = i % num_radial;
        T total = 0;
        for (std::int64_t g = 0; g < groups; ++g) total += of_groups[g * size + (pair * num_radial + k) * row + n];
        result.coefficient_gradient.push_back(total);
    }
    return result;
}

void check_moments_of_degree_one(const System<double>& s) {
    const auto moments = evaluate(s).moments;
    for (std::int64_t atom = 0; atom < s.num_atoms(); ++atom) {
        for (int n = 0; n < num_densities; ++n) {
            double sums[4] = {0, 0, 0, 0};  // in the order 1, y, z, x
            for (auto j = s.first_pair[atom]; j < s.first_pair[atom + 1]; ++j) {
                const double* v = s.vectors.data() + 3 * j;
                const double r = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]), x = r / cutoff;
                if (x > 1) continue;
                const std::int64_t pair = s.center_element[atom] * num_elements + s.neighbor_element[j];
                double g = 0;
                for (int k = 0; k < num_radial; ++k) {
                    g += s.coefficients[(pair * num_densities + n) * num_radial + k] *
                         std::exp(-s.etas[k] * std::pow(r - s.shifts[k], 2)) *
                         (1 - 10 * std::pow(x, 3) + 15 * std::pow(x, 4) - 6 * std::pow(x, 5));
                }
                const double terms[4] = {1, v[1] / r, v[2] / r, v[0] / r};
                for (int i = 0; i < 4; ++i) sums[i] += g * terms[i];
            }
            for (int i = 0; i < std::min(4, shape.num_harmonics()); ++i) {
                const double found = moments[(atom * num_densities + n) * shape.num_harmonics() + i];
                expect("moment", found, sums[i], 1.0, 1e-12);
            }
        }
    }
}

std::vector<double> waves(std::size_t size, double phase) {
    std::vector<double> values(size);
    for (std::size_t i = 0; i < size; ++i) values[i] = std::sin(phase + 1.3 * double(i));
    return values;
}

void check_derivatives(const System<double>& s) {
    const auto cotangent = waves(s.num_atoms() * shape.num_moments(), 1.0), direction = waves(s.vectors.size(), 2.0);
    const auto of_coefficients = waves(s.coefficients.size(), 3.0);
    const double step = 1e-5;
    System<double> forward = s, backward = s;
    for (std::size_t i = 0; i < direction.size(); ++i) {
        forward.vectors[i] += step * direction[i];
        backward.vectors[i] -= step * direction[i];
    }
    for (std::size_t i = 0; i < of_coefficients.size(); ++i) {
        forward.coefficients[i] += step * of_coefficients[i];
        backward.coefficients[i] -= step * of_coefficients[i];
    }
    if (s.num_atoms() == 0) return;
    const auto plus = evaluate(forward, cotangent), minus = evaluate(backward, cotangent);
    const auto along = evaluate(s, cotangent, direction, of_coefficients), here = evaluate(s, cotangent);
    const auto moments_after = evaluate(forward).moments, moments_before = evaluate(backward).moments;
    double slope = 0, difference = 0;
    for (std::size_t i = 0; i < cotangent.size(); ++i) {
        const double numerical = (moments_after[i] - moments_before[i]) / (2 * step);
        difference += cotangent[i] * numerical;
        expect("derivative of moments", along.moments[i], numerical, 10.0, 1e-8);
    }
    for (std::size_t i = 0; i < direction.size(); ++i) {
        slope += here.vector_gradient[i] * direction[i];
        const double numerical = (plus.vector_gradient[i] - minus.vector_gradient[i]) / (2 * step);
        expect("derivative by vectors", along.vector_gradient[i], numerical, 10.0, 1e-7);
    }
    for (std::size_t i = 0; i < of_coefficients.size(); ++i) {
        slope += here.coefficient_gradient[i] * of_coefficients[i];
        const double numerical = (plus.coefficient_gradient[i] - minus.coefficient_gradient[i]) / (2 * step);
        expect("derivative by coefficients", along.coefficient_gradient[i], numerical, 10.0, 1e-7);
    }
    expect("gradients", slope, difference, std::abs(difference) + 1.0, 1e-8);
}

template <class T>
std::vector<T> invariants(const std::vector<T>& moments, const InvariantShape& s, std::vector<T>* gradient = nullptr) {
    const std::int64_t num_atoms = std::int64_t(moments.size()) / s.num_moments();
    std::vector<T> functions(num_atoms * s.num_functions()), cotangent(functions.size(), T(0.7));
    std::vector<T> unused(moments.size());
    const InvariantArguments<T> arguments{num_atoms,        moments.data(),
                                          nullptr,          cotangent.data(),
                                          functions.data(), gradient == nullptr ? unused.data() : gradient->data()};
    evaluate_invariants<Lanes<T>>(s, arguments, 0, num_groups<T>(num_atoms));
    return functions;
}

void check_invariants(const System<double>& s, const InvariantShape& of_moments) {
    System<double> turned = s;
    const double c = std::cos(0.7), d = std::sin(0.7);
    for (std::size_t j = 0; j < s.vectors.size(); j += 3) {  // about z, then x
        const double x = s.vectors[j], y = s.vectors[j + 1], z = s.vectors[j + 2], across = d * x + c * y;
        turned.vectors[j] = c * x - d * y;
        turned.vectors[j + 1] = c * across - d * z;
        turned.vectors[j + 2] = d * across + c * z;
    }
    auto moments = evaluate(s).moments;
    const auto before = invariants(moments, of_moments), after = invariants(evaluate(turned).moments, of_moments);
    for (std::size_t i = 0; i < before.size(); ++i) {
        expect("rotation", after[i], before[i], 1.0 + std::abs(before[i]), 1e-11);
    }
    std::vector<double> gradient(moments.size());
    invariants(moments, of_moments, &gradient);
    for (std::size_t i = 0; i < moments.size(); i += 7) {
        const double step = 1e-5, value = moments[i];
        double difference = 0;
        for (const double sign : {1.0, -1.0}) {
            moments[i] = value + sign * step;
            for (const double f : invariants(moments, of_moments)) difference += sign * 0.7 * f / (2 * step);
        }
        moments[i] = value;
        expect("gradient by moments", gradient[i], difference, 100.0 + std::abs(difference), 1e-7);
    }
}

void check_degree(int max_degree) {
    shape.max_degree = max_degree;
    const FourBodyTables none(0, 0), some(3, 2), all(2, num_densities);
    for (const auto& counts : std::vector<std::vector<int>>{{}, {0}, {6}, {5, 0, 19, 3}, std::vector<int>(37, 4)}) {
        const System<double> system(counts);
        check_moments_of_degree_one(system);
        check_derivatives(system);
        for (const FourBodyTables* tables : {&none, &some, &all}) {
            if (tables->shape().max_degree > shape.max_degree) continue;
            check_invariants(system, {num_densities, shape.max_degree, tables->shape()});
        }
        const System<float> single(counts);
        for (const float value :
             evaluate(single, std::vector<float>(counts.size() * shape.num_moments(), 1.0f)).vector_gradient) {
            expect("single precision", std::isfinite(value), 1.0, 1.0, 0.0);
        }
    }
}

int main() {
    for (const int max_degree : {0, 3}) check_degree(max_degree);
    std::printf("%d failures\n", num_failures);
    return num_failures > 0;
}
