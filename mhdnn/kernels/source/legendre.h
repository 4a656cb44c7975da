// Gauss and Legendre's rule: nodes and weights of integrals from -1 to 1, exact for polynomials of degree below 2 n.
#pragma once

#include <cmath>
#include <vector>

namespace mhdnn {

struct QuadratureRule {
    std::vector<double> nodes, weights;
};

/// Nodes in ascending order: zeros of P_n by Newton's method.
inline QuadratureRule legendre_rule(int count) {
    QuadratureRule rule;
    for (int i = 0; i < count; ++i) {
        double x = -std::cos(std::acos(-1.0) * (i + 0.75) / (count + 0.5)), slope = 1.0;
        for (int step = 0; step < 20; ++step) {
            double value = x, before = 1.0;
            for (int n = 2; n <= count; ++n) {
                const double next = ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n;
                before = value;
                value = next;
            }
            slope = count * (x * value - before) / (x * x - 1.0);
            x -= value / slope;
        }
        rule.nodes.push_back(x);
        rule.weights.push_back(2.0 / ((1.0 - x * x) * slope * slope));
    }
    return rule;
}

}  // namespace mhdnn
