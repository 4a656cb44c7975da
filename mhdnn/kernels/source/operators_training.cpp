// What a training step makes of small structures beside the network: forces of what is kept (mhdnn/training/kept.py)
// and the terms of the loss (mhdnn/training/loss.py). Of a dozen atoms each is a few hundred numbers, for which torch's
// own operations, some twenty each, take longer than the arithmetic. On the CPU; on a GPU the Python formulas are used.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <cmath>

#include "last_derivative.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor plain(const at::Tensor& tensor) { return tensor.to(at::kDouble).contiguous(); }

// Rows and columns of a 3 × 3 matrix in Voigt's order.
constexpr int voigt_rows[6] = {0, 1, 2, 1, 0, 0}, voigt_columns[6] = {0, 1, 2, 2, 2, 1};

// F_s, W_s = known + R_s g_s, and with charges that are trained -∂E/∂r, ∂E/∂ε (its symmetric part), and each pair's
// product of charges times its screening: 1 energy, 3 forces, 6 virials. All is linear; the vjp is its transpose.
class KeptForces : public torch::autograd::Function<KeptForces> {
public:
    static variable_list forward(
        AutogradContext* context, const at::Tensor& by_inputs, const at::Tensor& by_position,
        const at::Tensor& by_strain, const at::Tensor& products, const at::Tensor& forces, const at::Tensor& virial,
        const at::Tensor& screening, const at::Tensor& center, const at::Tensor& neighbor, const at::Tensor& structure,
        at::TensorList responses) {
        at::AutoDispatchBelowADInplaceOrView guard;
        variable_list saved = {by_inputs, by_position, by_strain, products, screening, center, neighbor, structure};
        saved.insert(saved.end(), responses.begin(), responses.end());
        context->save_for_backward(saved);
        at::Tensor f = forces.to(at::kDouble).clone(), w = virial.to(at::kDouble).clone();
        double *const force = f.mutable_data_ptr<double>(), *const stress = w.mutable_data_ptr<double>();
        add_responses(by_inputs, responses, force, stress);
        add_electrostatics(plain(by_position), plain(by_strain), force, stress);
        const at::Tensor product = plain(products), terms = plain(screening);
        const double *const amount = product.const_data_ptr<double>(), *const term = terms.const_data_ptr<double>();
        const auto *const i = center.const_data_ptr<std::int64_t>(), *const j = neighbor.const_data_ptr<std::int64_t>(),
                          *const s = structure.const_data_ptr<std::int64_t>();
        for (std::int64_t pair = 0; pair < product.numel(); ++pair) {
            const double* const own = term + 10 * pair;
            for (int axis = 0; axis < 3; ++axis) {
                force[3 * i[pair] + axis] += amount[pair] * own[1 + axis];
                force[3 * j[pair] + axis] -= amount[pair] * own[1 + axis];
            }
            for (int c = 0; c < 6; ++c) stress[6 * s[i[pair]] + c] += amount[pair] * own[4 + c];
        }
        return {f, w};
    }

    static variable_list backward(AutogradContext* context, const variable_list& cotangents) {
        const variable_list saved = context->get_saved_variables();
        const at::TensorList responses = at::TensorList(saved).slice(8);
        variable_list result(10 + responses.size()), given = saved;
        given.push_back(cotangents[0]);
        given.push_back(cotangents[1]);
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            const at::Tensor f = plain(cotangents[0]), w = plain(cotangents[1]);
            result[0] = by_inputs(saved[0], responses, f, w);
            if (saved[1].numel() > 0) result[1] = f.neg().to(saved[1].scalar_type());
            if (saved[2].numel() > 0) result[2] = by_strain(w).to(saved[2].scalar_type());
            if (saved[3].numel() > 0) result[3] = by_products(saved, f, w).to(saved[3].scalar_type());
        }
        return last_derivative(
            given, result,
            "forces of what is kept are differentiated once by parameters; another derivative was asked for");
    }

private:
    static void add_responses(const at::Tensor& by_inputs, at::TensorList responses, double* force, double* stress) {
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

    static void add_electrostatics(
        const at::Tensor& by_position, const at::Tensor& by_strain, double* force, double* stress) {
        const double *const gradient = by_position.const_data_ptr<double>(), *const strained =
                                                                                 by_strain.const_data_ptr<double>();
        for (std::int64_t number = 0; number < by_position.numel(); ++number) force[number] -= gradient[number];
        for (std::int64_t box = 0; 9 * box < by_strain.numel(); ++box)
            for (int c = 0; c < 6; ++c)
                stress[6 * box + c] += 0.5 * (strained[9 * box + 3 * voigt_rows[c] + voigt_columns[c]] +
                                              strained[9 * box + 3 * voigt_columns[c] + voigt_rows[c]]);
    }

    static at::Tensor by_inputs(
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

    static at::Tensor by_strain(const at::Tensor& virial) {
        at::Tensor result = at::zeros({virial.size(0), 3, 3}, virial.options());
        double* const strained = result.mutable_data_ptr<double>();
        const double* const stress = virial.const_data_ptr<double>();
        for (std::int64_t box = 0; box < virial.size(0); ++box)
            for (int c = 0; c < 6; ++c) {
                strained[9 * box + 3 * voigt_rows[c] + voigt_columns[c]] += 0.5 * stress[6 * box + c];
                strained[9 * box + 3 * voigt_columns[c] + voigt_rows[c]] += 0.5 * stress[6 * box + c];
            }
        return result;
    }

    static at::Tensor by_products(const variable_list& saved, const at::Tensor& forces, const at::Tensor& virial) {
        const at::Tensor terms = plain(saved[4]);
        at::Tensor result = at::empty({saved[3].numel()}, terms.options());
        double* const amount = result.mutable_data_ptr<double>();
        const double *const term = terms.const_data_ptr<double>(), *const force = forces.const_data_ptr<double>(),
                            *const stress = virial.const_data_ptr<double>();
        const auto *const i = saved[5].const_data_ptr<std::int64_t>(),
                          *const j = saved[6].const_data_ptr<std::int64_t>(),
                          *const s = saved[7].const_data_ptr<std::int64_t>();
        for (std::int64_t pair = 0; pair < result.numel(); ++pair) {
            double sum = 0.0;
            for (int axis = 0; axis < 3; ++axis)
                sum += term[10 * pair + 1 + axis] * (force[3 * i[pair] + axis] - force[3 * j[pair] + axis]);
            for (int c = 0; c < 6; ++c) sum += term[10 * pair + 4 + c] * stress[6 * s[i[pair]] + c];
            amount[pair] = sum;
        }
        return result;
    }
};

// Σ u_i ρ(x_i) / (ū M), as `weighted_mean` of loss.py: its gradient is found with it.
class WeightedMean : public torch::autograd::Function<WeightedMean> {
public:
    static at::Tensor forward(
        AutogradContext* context, const at::Tensor& prediction, const at::Tensor& label, const at::Tensor& weights,
        double mean_weight, const at::Tensor& thresholds, double smallest) {
        at::AutoDispatchBelowADInplaceOrView guard;
        const at::Tensor values = plain(prediction), known = plain(label), rows = plain(weights),
                         limits = plain(thresholds);
        at::Tensor gradient = at::empty_like(values);
        const std::int64_t num_rows = rows.numel(), width = num_rows > 0 ? values.numel() / num_rows : 0;
        const double *const x = values.const_data_ptr<double>(), *const y = known.const_data_ptr<double>(),
                            *const u = rows.const_data_ptr<double>(), *const limit = limits.const_data_ptr<double>();
        double* const slope = gradient.mutable_data_ptr<double>();
        double total = 0.0;
        std::int64_t count = 0;
        for (std::int64_t row = 0; row < num_rows; ++row) {
            double square = 0.0, factor = 1.0;
            for (std::int64_t number = row * width; number < (row + 1) * width; ++number) {
                const bool is_known = std::isfinite(y[number]);
                count += is_known;
                slope[number] = x[number] - (is_known ? y[number] : x[number]);  // NaN of what is no number
                square += slope[number] * slope[number];
            }
            if (limits.numel() > 0) {
                const double delta = std::max(limit[limits.numel() > 1 ? row : 0], smallest);
                if (square > delta * delta) {
                    const double length = std::sqrt(square);
                    factor = delta / length;
                    square = 2.0 * delta * length - delta * delta;
                }
            }
            total += u[row] * square;
            for (std::int64_t number = row * width; number < (row + 1) * width; ++number)
                slope[number] *= 2.0 * factor * u[row];
        }
        const double norm = mean_weight * static_cast<double>(std::max<std::int64_t>(count, 1));
        context->save_for_backward({prediction, gradient.div_(norm)});
        return at::scalar_tensor(total / norm, values.options()).to(at::result_type(prediction, label));
    }

    static variable_list backward(AutogradContext* context, const variable_list& cotangents) {
        const auto saved = context->get_saved_variables();
        variable_list result(6);
        {
            at::AutoDispatchBelowADInplaceOrView guard;
            result[0] = at::mul(saved[1], cotangents[0]).to(saved[0].scalar_type());
        }
        const variable_list given = {saved[0], cotangents[0]};
        return last_derivative(given, result, "the loss is differentiated once; another derivative was asked for");
    }
};

std::tuple<at::Tensor, at::Tensor> kept_forces(
    const at::Tensor& by_inputs, const at::Tensor& by_position, const at::Tensor& by_strain, const at::Tensor& products,
    const at::Tensor& forces, const at::Tensor& virial, const at::Tensor& screening, const at::Tensor& center_index,
    const at::Tensor& neighbor_index, const at::Tensor& structure_index, const std::vector<at::Tensor>& responses) {
    const auto found = KeptForces::apply(
        by_inputs, by_position, by_strain, products, forces, virial, screening, center_index, neighbor_index,
        structure_index, at::TensorList(responses));
    return {found[0], found[1]};
}

at::Tensor weighted_mean(
    const at::Tensor& prediction, const at::Tensor& label, const at::Tensor& weights, double mean_weight,
    const at::Tensor& thresholds, double smallest) {
    return WeightedMean::apply(prediction, label, weights, mean_weight, thresholds, smallest);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def(
        "kept_forces(Tensor by_inputs, Tensor by_position, Tensor by_strain, Tensor products, Tensor forces, Tensor "
        "virial, Tensor screening, Tensor center_index, Tensor neighbor_index, Tensor structure_index, Tensor[] "
        "responses) -> (Tensor, Tensor)",
        torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(kept_forces)));
    library.def(
        "weighted_mean(Tensor prediction, Tensor label, Tensor weights, float mean_weight, Tensor thresholds, float "
        "smallest) -> Tensor",
        torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(weighted_mean)));
}

}  // namespace mhdnn
