// Forces and virials of structures of which the responses to all positions are kept (mhdnn/training/kept.py), and their
// transpose: what reaches the inputs and the charges from forces and virials.
#pragma once

#include "structures.h"

namespace mhdnn {

// Rows and columns of a 3 × 3 matrix in Voigt's order.
constexpr int voigt_rows[6] = {0, 1, 2, 1, 0, 0}, voigt_columns[6] = {0, 1, 2, 2, 2, 1};

inline void add_responses(const at::Tensor& by_inputs, at::TensorList responses, double* force, double* stress) {
    const at::Tensor flat = by_inputs.contiguous().view(-1);
    std::int64_t first = 0;
    for (const auto& response : responses) {
        const at::Tensor found = at::mv(response, flat.narrow(0, first, response.size(1))).to(at::kDouble);
        const double* const values = found.const_data_ptr<double>();
        const std::int64_t count = response.size(0) - 6;
        for (std::int64_t row = 0; row < count; ++row) *force++ += values[row];
        for (int c = 0; c < 6; ++c) *stress++ += values[count + c];
        first += response.size(1);
    }
}

inline void add_electrostatics(const Values& by_positions, const Values& strained, double* force, double* stress) {
    for (std::size_t number = 0; number < by_positions.size(); ++number) force[number] -= by_positions[number];
    for (std::size_t box = 0; 9 * box < strained.size(); ++box)
        for (int c = 0; c < 6; ++c)
            stress[6 * box + c] += 0.5 * (strained[9 * box + 3 * voigt_rows[c] + voigt_columns[c]] +
                                          strained[9 * box + 3 * voigt_columns[c] + voigt_rows[c]]);
}

inline at::Tensor by_inputs(
    const at::Tensor& inputs, at::TensorList responses, const at::Tensor& forces, const at::Tensor& virial) {
    at::Tensor result = at::empty({inputs.numel()}, inputs.options());
    const at::Tensor f = forces.view(-1).to(inputs.scalar_type()), w = virial.view(-1).to(inputs.scalar_type());
    std::int64_t first = 0, row = 0, box = 0;
    for (const auto& response : responses) {
        const std::int64_t count = response.size(0) - 6;
        at::Tensor own = result.narrow(0, first, response.size(1));
        const at::Tensor both = at::cat({f.narrow(0, row, count), w.narrow(0, 6 * box, 6)});
        at::mv_out(own, response.t(), both);
        first += response.size(1);
        row += count;
        ++box;
    }
    return result.view(inputs.sizes());
}

inline Values by_strain(const at::Tensor& virial) {
    Values strained(9 * virial.size(0));
    const double* const stress = virial.const_data_ptr<double>();
    for (std::int64_t box = 0; box < virial.size(0); ++box)
        for (int c = 0; c < 6; ++c) {
            strained[9 * box + 3 * voigt_rows[c] + voigt_columns[c]] += 0.5 * stress[6 * box + c];
            strained[9 * box + 3 * voigt_columns[c] + voigt_rows[c]] += 0.5 * stress[6 * box + c];
        }
    return strained;
}

// Products of charges of pairs times their screening: energies, forces, virials, as `Kept.screening` has them.
struct Pairs {
    at::Tensor screening, center, neighbor, structure;

    template <class Function>
    void for_each(const Function& function) const {  // of two atoms, their structure, and ten numbers
        const double* const terms = screening.const_data_ptr<double>();
        const auto *const i = center.const_data_ptr<std::int64_t>(), *const j = neighbor.const_data_ptr<std::int64_t>(),
                          *const s = structure.const_data_ptr<std::int64_t>();
        for (std::int64_t pair = 0; pair < screening.size(0); ++pair)
            function(i[pair], j[pair], s[i[pair]], terms + 10 * pair);
    }
};

}  // namespace mhdnn
