// The terms of the loss (mhdnn/training/loss.py). Of a dozen atoms each is a few hundred numbers, for which torch's own
// operations, some twenty each, take longer than the arithmetic. On the CPU; on a GPU the Python formulas are used.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <cmath>

#include "last_derivative.h"

namespace mhdnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor plain(const at::Tensor& tensor) { return tensor.to(at::kDouble).contiguous(); }

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

at::Tensor weighted_mean(
    const at::Tensor& prediction, const at::Tensor& label, const at::Tensor& weights, double mean_weight,
    const at::Tensor& thresholds, double smallest) {
    return WeightedMean::apply(prediction, label, weights, mean_weight, thresholds, smallest);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mhdnn, library) {
    library.def(
        "weighted_mean(Tensor prediction, Tensor label, Tensor weights, float mean_weight, Tensor thresholds, float "
        "smallest) -> Tensor",
        torch::dispatch(c10::DispatchKey::CompositeImplicitAutograd, TORCH_FN(weighted_mean)));
}

}  // namespace mhdnn
