// The class of TorchScript that holds the electrostatics of a batch of structures, and how tensors reach the core.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/custom_class.h>

#include "electrostatics/batch.h"

namespace mhdnn {

using electrostatics::Batch;
using Values = std::vector<double>;

inline Values values_of(const at::Tensor& tensor) {
    const at::Tensor flat = tensor.detach().to(at::kDouble).contiguous();
    return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

inline at::Tensor tensor_of(const Values& values, at::IntArrayRef shape) {
    at::Tensor result = at::empty(shape, at::kDouble);
    std::copy(values.begin(), values.end(), result.mutable_data_ptr<double>());
    return result;
}

// Calls function(structure) for all of them, in parallel if there are several.
template <class Function>
void for_each_structure(const Batch& batch, const Function& function) {
    if (batch.num_structures() == 1) return function(0);
    at::parallel_for(0, batch.num_structures(), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t structure = begin; structure < end; ++structure) function(structure);
    });
}

struct Structures : torch::CustomClassHolder {
    Batch batch;

    explicit Structures(Batch batch) : batch(std::move(batch)) {}
};
using Handle = c10::intrusive_ptr<Structures>;

inline at::Tensor defined_or_zero(const at::Tensor& gradient, at::IntArrayRef shape) {
    return gradient.defined() ? gradient : at::zeros(shape, at::kDouble);
}

}  // namespace mhdnn
