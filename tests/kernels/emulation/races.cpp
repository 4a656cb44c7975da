// Every kernel with tiny inputs, for ThreadSanitizer. The argument is the number of a barrier to leave out; without
// one, nothing is left out and no race may be found.
#include <cmath>

#include "emulated.cpp"

namespace {

struct System {
    std::vector<std::int64_t> first_pair{0, 5, 5, 8}, element{0, 1, 1, 0, 1, 0, 0, 1};
    std::vector<std::int64_t> radial_index{0, 1, 1}, power_index{0, 1, 0}, zetas{1, 2}, lambdas{1, -1};
    std::vector<double> vectors, tangents, table{0.7, -0.4, 1.3, 0.2}, table_tangents{0.1, 0.3, -0.2, 0.5},
        etas{0.1, 0.6}, shifts{0.0, 1.4};

    System() {
        for (int i = 0; i < 24; ++i) {
            vectors.push_back(1.5 * std::sin(1.7 * i + 0.4));
            tangents.push_back(std::cos(2.3 * i));
        }
    }
};

int run(const System& s, std::int64_t kind, std::int64_t tile, bool with_cotangent, bool with_tangents) {
    const std::int64_t num_atoms = 3, most_functions = 60;
    std::vector<double> cotangent(num_atoms * most_functions, 0.3), functions(cotangent.size()), vector_gradient(24),
        table_gradient(num_atoms * s.table.size());
    const EmulatedCall call{
        4, tile, 2, 1 << 20,
        num_atoms, 8, 2, 2, 2, s.first_pair.data(), s.element.data(), s.vectors.data(),
        with_tangents ? s.tangents.data() : nullptr, s.table.data(), with_tangents ? s.table_tangents.data() : nullptr,
        s.etas.data(), s.shifts.data(), 4.0, 0, with_cotangent ? cotangent.data() : nullptr, functions.data(),
        vector_gradient.data(), table_gradient.data(),
        kind, 2, 1, 3, 2, s.radial_index.data(), s.power_index.data(), s.zetas.data(), s.lambdas.data()};
    return mhdnn_emulated_double(&call);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1) cuda::emulation::left_out_barrier = std::atoi(argv[1]);
    const System system;
    int status = 0;
    for (std::int64_t kind = 0; kind < 5; ++kind) {
        for (const std::int64_t tile : {2, 8}) {
            status |= run(system, kind, tile, false, false);
            status |= run(system, kind, tile, true, false);
            status |= run(system, kind, tile, true, true);
        }
    }
    std::printf("status %d\n", status);
    return status;
}
