// Gradients that can't be differentiated once more: whoever asks for it is told, instead of getting zeros.
#pragma once

#include <torch/csrc/autograd/custom_function.h>

namespace mhdnn {

struct Gradients {  // autograd looks for variables among tensors and lists of them, and these are results
    torch::autograd::variable_list values;
};

class LastDerivative : public torch::autograd::Function<LastDerivative> {
public:
    static torch::autograd::variable_list forward(
        torch::autograd::AutogradContext* context, at::TensorList /*given*/, const Gradients& gradients,
        const std::string& message) {
        context->saved_data["message"] = message;
        return gradients.values;
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext* context, const torch::autograd::variable_list&) {
        TORCH_CHECK_NOT_IMPLEMENTED(
            false, context->saved_data["message"].toStringRef(), "; with MHDNN_KERNELS=torch every derivative exists");
        return {};
    }
};

// The gradients, marked where a graph of derivatives is made; `given` is what they depend on.
inline torch::autograd::variable_list last_derivative(
    at::TensorList given, const torch::autograd::variable_list& gradients, const std::string& message) {
    if (!at::GradMode::is_enabled()) return gradients;
    torch::autograd::variable_list defined, result = gradients;
    for (const auto& gradient : gradients)
        if (gradient.defined()) defined.push_back(gradient);
    const auto found = LastDerivative::apply(given, Gradients{defined}, message);
    std::size_t next = 0;
    for (auto& gradient : result)
        if (gradient.defined()) gradient = found[next++];
    return result;
}

}  // namespace mhdnn
