// Every kernel with tiny inputs, for ThreadSanitizer. The argument is the number of a barrier to leave out; without
// one, nothing is left out and no race may be found.
#include <cmath>

#include "emulated.cpp"
#include "emulated_contracted.cpp"

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
        4,
        tile,
        2,
        1 << 20,
        num_atoms,
        8,
        2,
        2,
        2,
        s.first_pair.data(),
        s.element.data(),
        s.vectors.data(),
        with_tangents ? s.tangents.data() : nullptr,
        s.table.data(),
        with_tangents ? s.table_tangents.data() : nullptr,
        s.etas.data(),
        s.shifts.data(),
        4.0,
        0,
        with_cotangent ? cotangent.data() : nullptr,
        functions.data(),
        vector_gradient.data(),
        table_gradient.data(),
        kind,
        2,
        1,
        3,
        2,
        s.radial_index.data(),
        s.power_index.data(),
        s.zetas.data(),
        s.lambdas.data()};
    return mhdnn_emulated_double(&call);
}

int run_densities(const System& s, std::int64_t tile, bool with_cotangent, bool with_tangents) {
    const std::int64_t num_atoms = 3, num_densities = 3, num_radial = 2, max_degree = 2;
    const std::int64_t num_moments = num_densities * (max_degree + 1) * (max_degree + 1);
    const std::vector<std::int64_t> center{1, 0, 1};
    std::vector<double> coefficients(2 * 2 * num_densities * num_radial, 0.4), cotangent(num_atoms * num_moments, 0.3),
        moments(cotangent.size()), vector_gradient(24), coefficient_gradient(num_atoms * coefficients.size() / 2);
    const EmulatedDensities call{
        4,
        tile,
        2,
        1 << 20,
        num_atoms,
        8,
        2,
        num_densities,
        num_radial,
        max_degree,
        s.first_pair.data(),
        center.data(),
        s.element.data(),
        s.vectors.data(),
        with_tangents ? s.tangents.data() : nullptr,
        coefficients.data(),
        with_tangents ? coefficients.data() : nullptr,
        s.etas.data(),
        s.shifts.data(),
        4.0,
        1,
        with_cotangent ? cotangent.data() : nullptr,
        with_cotangent && !with_tangents ? nullptr : moments.data(),
        with_cotangent ? vector_gradient.data() : nullptr,
        with_cotangent ? coefficient_gradient.data() : nullptr};
    return mhdnn_densities_double(&call);
}

int run_invariants(bool with_cotangent, bool with_tangents) {
    const std::int64_t num_atoms = 3, num_densities = 3, max_degree = 2, most_functions = 60;
    std::vector<double> moments(num_atoms * num_densities * 9, 0.3), cotangent(num_atoms * most_functions, 0.2),
        functions(cotangent.size()), gradient(moments.size());
    const EmulatedInvariants call{
        4,
        0,
        2,
        1 << 20,
        num_atoms,
        num_densities,
        max_degree,
        2,
        3,
        moments.data(),
        with_tangents ? moments.data() : nullptr,
        with_cotangent ? cotangent.data() : nullptr,
        functions.data(),
        gradient.data()};
    return mhdnn_invariants_double(&call);
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
    for (const std::int64_t tile : {2, 8}) {
        status |= run_densities(system, tile, false, false);
        status |= run_densities(system, tile, true, false);
        status |= run_densities(system, tile, true, true);
    }
    status |= run_invariants(false, false) | run_invariants(true, false) | run_invariants(true, true);
    std::printf("status %d\n", status);
    return status;
}
