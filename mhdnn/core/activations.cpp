#include "activations.h"

#include <stdexcept>

namespace mhdnn {

Activation activation_from_name(const std::string& name) {
    constexpr const char* names[] = {"linear",      "silu",  "tanh",     "softplus", "softplus_to_20",
                                     "logistic",    "relu",  "gaussian", "cosine",   "reverse_logistic",
                                     "exponential", "square"};  // in the order of Activation
    int number = 0;
    for (const char* const known : names) {
        if (name == known) return static_cast<Activation>(number);
        ++number;
    }
    throw std::runtime_error(
        "unknown function of a network's layer: " + name +
        "; build this program with the version of mhdnn that wrote the file");
}

}  // namespace mhdnn
