#include "structure_factors.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "parameters.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

constexpr std::int64_t waves_at_once = 256;  // of a matrix
constexpr std::int64_t atoms_worth_a_thread = 16;

// Highest numbers of reciprocal vectors up to a cutoff.
std::array<std::int64_t, 3> highest_waves(const Matrix3& cell, double cutoff) {
    std::array<std::int64_t, 3> most;
    for (int axis = 0; axis < 3; ++axis) most[axis] = static_cast<std::int64_t>(cutoff * norm(cell[axis]) / (2.0 * pi));
    return most;
}

Vector3 wave_vector(const Matrix3& reciprocal, const std::array<std::int64_t, 3>& wave) {
    Vector3 k;
    for (int axis = 0; axis < 3; ++axis)
        k[axis] = 2.0 * pi * dot(reciprocal[axis], {double(wave[0]), double(wave[1]), double(wave[2])});
    return k;
}

// One of each k and -k up to the cutoff, without zero.
std::vector<std::array<std::int64_t, 3>> waves_within(const Matrix3& cell, double cutoff) {
    const Matrix3 reciprocal = inverse(cell);  // columns over 2π
    const auto most = highest_waves(cell, cutoff);
    std::vector<std::array<std::int64_t, 3>> result;
    for (std::int64_t a = 0; a <= most[0]; ++a)
        for (std::int64_t b = -most[1]; b <= most[1]; ++b)
            for (std::int64_t c = -most[2]; c <= most[2]; ++c) {
                if (a == 0 && (b < 0 || (b == 0 && c <= 0))) continue;
                const Vector3 k = wave_vector(reciprocal, {a, b, c});
                if (dot(k, k) <= cutoff * cutoff) result.push_back({a, b, c});
            }
    return result;
}

}  // namespace

StructureFactors::StructureFactors(
    const Matrix3& cell, const std::vector<double>& positions, double smearing, double cutoff,
    const Processes& processes)
    : processes_(processes), waves_(waves_within(cell, cutoff)) {
    const Matrix3 reciprocal = inverse(cell);
    const double scale = 2.0 * coulomb_constant * 4.0 * pi / std::abs(determinant(cell));  // 2: for k and -k
    for (const auto& wave : waves_) {
        const Vector3 k = wave_vector(reciprocal, wave);
        const double squared = dot(k, k);
        x_.push_back(k[0]);
        y_.push_back(k[1]);
        z_.push_back(k[2]);
        weights_.push_back(scale * std::exp(-0.5 * smearing * smearing * squared) / squared);
        for (int c = 0; c < 6; ++c) {
            const int row = voigt_row[c], column = voigt_column[c];
            strain_.push_back((smearing * smearing + 2.0 / squared) * k[row] * k[column] - (row == column ? 1.0 : 0.0));
        }
    }
    set_waves(cell, positions);
}

// exp(ik·r) is a product of powers of three numbers.
void StructureFactors::set_waves(const Matrix3& cell, const std::vector<double>& positions) {
    const Matrix3 reciprocal = inverse(cell);
    const auto num_atoms = static_cast<std::int64_t>(positions.size() / 3);
    std::int64_t most[3] = {};
    for (const auto& wave : waves_)
        for (int axis = 0; axis < 3; ++axis) most[axis] = std::max(most[axis], std::abs(wave[axis]));
    cosine_.resize(num_atoms * num_waves());
    sine_.resize(num_atoms * num_waves());
    for_each_of(num_atoms, 1, [&](std::int64_t atom) {
        const double* const r = &positions[3 * atom];
        std::vector<std::complex<double>> powers[3];
        for (int axis = 0; axis < 3; ++axis)
            for (std::int64_t n = -most[axis]; n <= most[axis]; ++n) {
                const double fraction =
                    r[0] * reciprocal[0][axis] + r[1] * reciprocal[1][axis] + r[2] * reciprocal[2][axis];
                powers[axis].push_back(std::polar(1.0, 2.0 * pi * double(n) * fraction));
            }
        for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
            const auto place = [&](int axis) { return powers[axis][waves_[wave][axis] + most[axis]]; };
            const std::complex<double> a = place(0), b = place(1), c = place(2);
            const double real = a.real() * b.real() - a.imag() * b.imag(),
                         imaginary = a.real() * b.imag() + a.imag() * b.real();
            cosine_[atom * num_waves() + wave] = real * c.real() - imaginary * c.imag();
            sine_[atom * num_waves() + wave] = real * c.imag() + imaginary * c.real();
        }
    });
}

DenseMatrix StructureFactors::matrix() const {
    DenseMatrix result(processes_.num_atoms);
    for (const auto* part : {&cosine_, &sine_})
        for (std::int64_t first = 0; first < num_waves(); first += waves_at_once) {
            const std::int64_t count = std::min(waves_at_once, num_waves() - first);
            std::vector<double> rows(result.size * count);
            for (std::int64_t atom = 0; atom < result.size; ++atom)
                for (std::int64_t wave = 0; wave < count; ++wave)
                    rows[atom * count + wave] =
                        std::sqrt(weights_[first + wave]) * (*part)[atom * num_waves() + first + wave];
            add_square(result, 0, rows, count, 1.0);
        }
    return result;
}

StructureFactors::Sums StructureFactors::sums(const std::vector<double>& charges) const {
    Sums result{std::vector<double>(num_waves(), 0.0), std::vector<double>(num_waves(), 0.0)};
    double *const by_cosine = result.cosine.data(), *const by_sine = result.sine.data();
    for (std::size_t atom = 0; atom < charges.size(); ++atom) {
        const double *const cosine = &cosine_[atom * num_waves()], *const sine = &sine_[atom * num_waves()];
        const double charge = charges[atom];
#pragma omp simd
        for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
            by_cosine[wave] += charge * cosine[wave];
            by_sine[wave] += charge * sine[wave];
        }
    }
    return result;
}

void StructureFactors::add_product(const std::vector<double>& q, double* result) const {
    const Sums of_q = sums(q);
    for_each_of(processes_.num_local, atoms_worth_a_thread, [&](std::int64_t atom) {
        const std::int64_t row = (processes_.first + atom) * num_waves();
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t wave = 0; wave < num_waves(); ++wave)
            sum += weights_[wave] * (cosine_[row + wave] * of_q.cosine[wave] + sine_[row + wave] * of_q.sine[wave]);
        result[processes_.first + atom] += sum;
    });
}

SmoothDerivatives StructureFactors::derivatives(
    const std::vector<double>& p, const std::vector<double>& q, bool per_atom) const {
    const Sums of_p = sums(p), of_q = sums(q);
    SmoothDerivatives result{std::vector<double>(3 * processes_.num_local, 0.0), {}, {}};
    if (per_atom) result.strain_per_atom.assign(6 * processes_.num_local, 0.0);
    for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
        const double power = of_p.cosine[wave] * of_q.cosine[wave] + of_p.sine[wave] * of_q.sine[wave];
        for (int c = 0; c < 6; ++c) result.strain[c] += weights_[wave] * power * strain_[6 * wave + c];
    }
    add_derivatives(p, of_q, per_atom, result);
    add_derivatives(q, of_p, per_atom, result);
    return result;
}

// Of own atoms with p in the potential of all with q: the position's, and half of the strain's.
void StructureFactors::add_derivatives(
    const std::vector<double>& p, const Sums& of_q, bool per_atom, SmoothDerivatives& result) const {
    for_each_of(processes_.num_local, atoms_worth_a_thread, [&](std::int64_t atom) {
        const std::int64_t row = (processes_.first + atom) * num_waves();
        const double charge = p[processes_.first + atom];
        double x = 0.0, y = 0.0, z = 0.0;
#pragma omp simd reduction(+ : x, y, z)
        for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
            const double slope =
                weights_[wave] * (cosine_[row + wave] * of_q.sine[wave] - sine_[row + wave] * of_q.cosine[wave]);
            x += slope * x_[wave];
            y += slope * y_[wave];
            z += slope * z_[wave];
        }
        result.positions[3 * atom] += charge * x;
        result.positions[3 * atom + 1] += charge * y;
        result.positions[3 * atom + 2] += charge * z;
        for (std::int64_t wave = 0; per_atom && wave < num_waves(); ++wave) {
            const double value =
                weights_[wave] * (cosine_[row + wave] * of_q.cosine[wave] + sine_[row + wave] * of_q.sine[wave]);
            for (int c = 0; c < 6; ++c)
                result.strain_per_atom[6 * atom + c] += 0.5 * charge * value * strain_[6 * wave + c];
        }
    });
}

// With S the sum of charges times exp(ik·r) and f = k·d of the displacements d, S' is the sum of i f q exp(ik·r).
// Phases don't change under strain, weights do.
void StructureFactors::add_moved_product(const Motion& motion, const std::vector<double>& q, double* result) const {
    const Sums of_q = sums(q);
    Sums moved{std::vector<double>(num_waves(), 0.0), std::vector<double>(num_waves(), 0.0)};
    std::vector<double> changes(num_waves(), 0.0);  // of the logarithms of the weights
    for (std::int64_t wave = 0; wave < num_waves(); ++wave)
        for (int c = 0; c < 6; ++c)
            changes[wave] += (c < 3 ? 1.0 : 2.0) * strain_[6 * wave + c] * motion.strain[voigt_row[c]][voigt_column[c]];
    for (std::int64_t atom = 0; atom < processes_.num_atoms; ++atom) {
        const double *const cosine = &cosine_[atom * num_waves()], *const sine = &sine_[atom * num_waves()];
        const Vector3 d = motion.displacement(atom);
        const double charge = q[atom];
#pragma omp simd
        for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
            const double phase = charge * (x_[wave] * d[0] + y_[wave] * d[1] + z_[wave] * d[2]);
            moved.cosine[wave] -= phase * sine[wave];
            moved.sine[wave] += phase * cosine[wave];
        }
    }
    for_each_of(processes_.num_local, atoms_worth_a_thread, [&](std::int64_t atom) {
        const std::int64_t row = (processes_.first + atom) * num_waves();
        const Vector3 d = motion.displacement(processes_.first + atom);
        double sum = 0.0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t wave = 0; wave < num_waves(); ++wave) {
            const double cosine = cosine_[row + wave], sine = sine_[row + wave];
            const double phase = x_[wave] * d[0] + y_[wave] * d[1] + z_[wave] * d[2];
            const double by_cosine = moved.cosine[wave] + changes[wave] * of_q.cosine[wave] + phase * of_q.sine[wave];
            const double by_sine = moved.sine[wave] + changes[wave] * of_q.sine[wave] - phase * of_q.cosine[wave];
            sum += weights_[wave] * (cosine * by_cosine + sine * by_sine);
        }
        result[atom] += sum;
    });
}

}  // namespace mhdnn::electrostatics
