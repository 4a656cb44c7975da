// What a training step makes of structures of which all but the networks' part is kept (mhdnn/training/kept.py).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "structures.h"

namespace mhdnn {

// network: species table, linear weights, output scale, layers; atoms: inputs, element, structure; charges: shift of
// the electronegativities, raw hardness, totals; for forces also the screening of each charge, mean and scale of
// charges, the screening of pairs (`Kept.screening`), centres and neighbours; known: reference energies, energies,
// forces, virial.
at::Tensor kept_charges(
    const std::vector<at::Tensor>& network, std::string activation, const std::vector<at::Tensor>& atoms,
    const std::vector<at::Tensor>& charges, const Handle& structures, double tolerance);

// Atomic energies, forces, virial, and charges if there are any.
std::vector<at::Tensor> kept_prediction(
    const std::vector<at::Tensor>& network, std::string activation, const std::vector<at::Tensor>& atoms,
    const std::vector<at::Tensor>& known, const std::vector<at::Tensor>& responses,
    const std::vector<at::Tensor>& charge_network, std::string charge_activation,
    const std::vector<at::Tensor>& charges, const std::optional<Handle>& structures, double tolerance);

}  // namespace mhdnn
