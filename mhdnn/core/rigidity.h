// Grades and excesses of atoms of one element, one in each lane: `grades` of mhdnn/uncertainty/model.py.
#pragma once

#include <vector>

#include "model.h"
#include "products.h"
#include "weights.h"

namespace mhdnn {

// What a model file says of its errors beside that; empty if nothing is known.
ErrorModel read_error_model(const Weights& weights, int num_elements);

template <class T>
class Rigidity {
public:
    Rigidity() = default;
    Rigidity(const Weights& weights, int num_elements, int num_functions);

    struct Space {
        std::vector<Lanes<T>> features, products;
    };

    // functions: scaled. Grade and excess of each atom go to grades[2 * lane], for the first num_atoms lanes.
    void evaluate(int element, const Lanes<T>* functions, int num_atoms, double* grades, Space& space) const;

private:
    struct OfElement {
        Matrix<T> factor;          // transposed: an upper triangle
        Matrix<T> landmarks;       // -2 t
        std::vector<T> squares;    // |t|²
        std::vector<T> residuals;  // u
        std::vector<T> kernels;    // v; empty in files of older versions
        T rate;                    // γ
        double largest_grade, radius, smallest_residual, largest_residual;
    };
    int num_functions_ = 0;
    Matrix<T> axes_;  // transposed
    T inverse_penalty_ = T(0);
    double power_ = 1.0;
    std::vector<OfElement> elements_;
};

}  // namespace mhdnn
