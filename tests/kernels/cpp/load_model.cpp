// A C++ program that evaluates a model file: reads "num_atoms num_pairs", atomic numbers, then for each pair
// centre, neighbour and vector from standard input; prints atomic energies and the gradient by the vectors.
#include <torch/script.h>

#include <cstdio>
#include <iostream>
#include <vector>

int main(int, char** arguments) {
    torch::jit::Module model = torch::jit::load(arguments[1]);
    std::int64_t num_atoms, num_pairs;
    std::cin >> num_atoms >> num_pairs;
    std::vector<std::int64_t> numbers(num_atoms), center(num_pairs), neighbor(num_pairs);
    std::vector<double> vectors(3 * num_pairs);
    for (auto& number : numbers) std::cin >> number;
    for (std::int64_t pair = 0; pair < num_pairs; ++pair) {
        std::cin >> center[pair] >> neighbor[pair];
        for (int axis = 0; axis < 3; ++axis) std::cin >> vectors[3 * pair + axis];
    }
    const auto variables = torch::tensor(vectors, torch::kDouble).reshape({-1, 3}).requires_grad_();
    const auto energies = model
                              .forward(
                                  {variables, torch::tensor(center, torch::kLong),
                                   torch::tensor(neighbor, torch::kLong), torch::tensor(numbers, torch::kLong)})
                              .toTensor();
    energies.sum().backward();
    const auto gradient = variables.grad().contiguous();
    for (std::int64_t atom = 0; atom < num_atoms; ++atom) std::printf("%.17g\n", energies[atom].item<double>());
    for (std::int64_t i = 0; i < 3 * num_pairs; ++i) std::printf("%.17g\n", gradient.const_data_ptr<double>()[i]);
}
