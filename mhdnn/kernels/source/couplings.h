// Real Gaunt coefficients and the lists of `FourBodyShape`, made on the CPU.
//
//     G_m1,m2,m3 = 1/(4π) ∫ Y_l1m1 Y_l2m2 Y_l3m3 dΩ
//
// by Gauss-Legendre quadrature in z and equal steps of the azimuth, which is exact for polynomials of this degree.
// They vanish unless l1 + l2 + l3 is even and the degrees form a triangle. Degree 0 is left out: its invariants are
// products of those of fewer bodies.
#pragma once

#include <cmath>
#include <vector>

#include "four_body.h"
#include "harmonics.h"
#include "legendre.h"

namespace mhdnn {

constexpr int four_body_degree_limit = 6;

/// Y_lm of all degrees up to max_degree at points of the sphere whose weights add up to one.
class SphereQuadrature {
public:
    /// Exact for polynomials up to 3 max_degree.
    explicit SphereQuadrature(int max_degree) : num_harmonics_((max_degree + 1) * (max_degree + 1)) {
        const int num_nodes = (3 * max_degree) / 2 + 1, num_steps = 3 * max_degree + 1;
        const QuadratureRule rule = legendre_rule(num_nodes);
        for (int i = 0; i < num_nodes; ++i) {
            const double z = rule.nodes[i], radius = std::sqrt(1.0 - z * z);
            for (int k = 0; k < num_steps; ++k) {
                const double angle = 2.0 * std::acos(-1.0) * k / num_steps;
                add_point(max_degree, radius * std::cos(angle), radius * std::sin(angle), z);
                weights_.push_back(0.5 * rule.weights[i] / num_steps);
            }
        }
    }

    /// Mean over the sphere of the product of three harmonics, exactly zero where it is round-off.
    double mean_product(int first, int second, int third) const {
        double total = 0.0;
        for (std::size_t i = 0; i < weights_.size(); ++i) {
            const double* values = harmonics_.data() + i * num_harmonics_;
            total += weights_[i] * values[first] * values[second] * values[third];
        }
        return std::abs(total) < 1e-12 ? 0.0 : total;
    }

private:
    void add_point(int max_degree, double x, double y, double z) {
        std::vector<HarmonicCoefficient<double>> table(triangle_size(max_degree));
        for (int l = 0; l <= max_degree; ++l) {
            for (int m = 0; m <= l; ++m) table[triangle_index(l, m)] = harmonic_coefficient<double>(l, m);
        }
        std::vector<double> q(table.size()), cosine(max_degree + 1), sine(max_degree + 1), values(num_harmonics_);
        const HarmonicFactors<double> factors{q.data(), cosine.data(), sine.data()};
        harmonic_factors(table.data(), max_degree, x, y, z, factors);
        harmonics(max_degree, factors, values.data());
        harmonics_.insert(harmonics_.end(), values.begin(), values.end());
    }

    int num_harmonics_;
    std::vector<double> weights_, harmonics_;
};

/// Degrees that are coupled: 1 <= l1 <= l2 <= l3 <= max_degree, l3 <= l1 + l2, even sum; calls action(l1, l2, l3).
template <class Action>
void for_each_coupling(int max_degree, Action action) {
    for (int l1 = 1; l1 <= max_degree; ++l1) {
        for (int l2 = l1; l2 <= max_degree; ++l2) {
            for (int l3 = l2; l3 <= max_degree && l3 <= l1 + l2; ++l3) {
                if ((l1 + l2 + l3) % 2 == 0) action(l1, l2, l3);
            }
        }
    }
}

/// Number of four-body functions; Int is an integer or a symbolic one.
inline std::int64_t num_four_body_functions(std::int64_t max_degree, std::int64_t n) {
    std::int64_t total = 0;
    for_each_coupling(int(max_degree), [&](int l1, int l2, int l3) {
        if (l1 == l3) {
            total += n * (n + 1) * (n + 2) / 6;
        } else {
            total += l1 == l2 || l2 == l3 ? n * n * (n + 1) / 2 : n * n * n;
        }
    });
    return total;
}

/// Lists of `FourBodyShape`.
class FourBodyTables {
public:
    std::vector<Coupling> couplings;
    std::vector<CoupledRow> rows;
    std::vector<int> starts, use_starts;
    std::vector<CouplingTerm> terms;
    std::vector<CouplingUse> uses;

    FourBodyTables(int max_degree, int num_densities)
        : max_degree_(max_degree), num_densities_(num_densities),
          uses_of_component_((max_degree + 1) * (max_degree + 1)) {
        const SphereQuadrature quadrature(max_degree);
        for_each_coupling(max_degree, [&](int l1, int l2, int l3) {
            couplings.push_back({{l1, l2, l3}, int(rows.size()), 0, int(starts.size())});
            add_terms(quadrature, l1, l2, l3);
            add_rows(l1, l2, l3);
            couplings.back().num_rows = int(rows.size()) - couplings.back().first_row;
        });
        for (const auto& of_component : uses_of_component_) {
            use_starts.push_back(int(uses.size()));
            uses.insert(uses.end(), of_component.begin(), of_component.end());
        }
        use_starts.push_back(int(uses.size()));
    }

    FourBodyShape shape() const {
        return {max_degree_,      num_densities_, num_functions_,    int(couplings.size()),
                int(rows.size()), num_values_,    couplings.data(),  rows.data(),
                starts.data(),    terms.data(),   use_starts.data(), uses.data()};
    }

private:
    void add_terms(const SphereQuadrature& quadrature, int l1, int l2, int l3) {
        const int coupling = int(couplings.size()) - 1;
        for (int third = l3 * l3; third < (l3 + 1) * (l3 + 1); ++third) {
            starts.push_back(int(terms.size()));
            for (int first = l1 * l1; first < (l1 + 1) * (l1 + 1); ++first) {
                for (int second = l2 * l2; second < (l2 + 1) * (l2 + 1); ++second) {
                    const double value = quadrature.mean_product(first, second, third);
                    if (value == 0.0) continue;
                    terms.push_back({value, first, second});
                    uses_of_component_[first].push_back({value, coupling, 0, second, third - l3 * l3});
                    uses_of_component_[second].push_back({value, coupling, 1, first, third - l3 * l3});
                }
            }
        }
        starts.push_back(int(terms.size()));
    }

    void add_rows(int l1, int l2, int l3) {
        for (int first = 0; first < num_densities_; ++first) {
            for (int second = l1 == l2 ? first : 0; second < num_densities_; ++second) {
                const int first_third = l2 == l3 ? second : 0;
                rows.push_back({int(couplings.size()) - 1, first, second, first_third, num_functions_, num_values_});
                num_functions_ += num_densities_ - first_third;
                num_values_ += 2 * l3 + 1;
            }
        }
    }

    int max_degree_, num_densities_, num_functions_ = 0, num_values_ = 0;
    std::vector<std::vector<CouplingUse>> uses_of_component_;
};

}  // namespace mhdnn
