// Spline interpolation between atoms and the points of a mesh, and the Green's function there.
//
// Charges are spread by B-splines, transformed, multiplied with the Green's function and the optimal influence factor,
// transformed back and collected with the same splines: the particle-particle particle-mesh method of R. W. Hockney
// and J. W. Eastwood with B-splines instead of their assignment functions. As A is then a symmetric matrix and a smooth
// function of positions and cell, its derivatives are exact derivatives of the energies it gives.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "buffer.h"
#include "fourier.h"
#include "neighbors.h"
#include "parameters.h"
#include "threads.h"

namespace mhdnn::electrostatics {

// Of a wave along the axes of a spectrum.
using WavePlace = std::array<std::int64_t, 3>;

// The Coulomb kernel of periodic directions smeared by η, at one wave vector.
struct GreenValue {
    double value;  // eV/e²
    double slope;  // by k²
};

class Green {
public:
    Green(const Matrix3& cell, const MeshShape& shape, double smearing);

    Vector3 wave_vector(const WavePlace& place) const;
    GreenValue at(double squared) const;

private:
    Matrix3 reciprocal_;  // columns are reciprocal vectors over 2π
    MeshShape shape_;
    double volume_, smearing_;
};

// The factors that make the mesh's mean error smallest.
class Influence {
public:
    Influence(const MeshShape& shape, int order);
    double at(const WavePlace& place) const {
        return factors_[0][place[0]] * factors_[1][place[1]] * factors_[2][place[2]];
    }

private:
    std::vector<double> factors_[3];
};

// Calls function(number of the wave, place) for every wave of a spectrum, the planes of the first axis in parallel.
template <typename Function>
void for_each_wave(const MeshShape& shape, const Function& function) {
    for_each_of(shape[0], 1, [&](std::int64_t a) {
        for (std::int64_t b = 0; b < shape[1]; ++b)
            for (std::int64_t c = 0; c <= shape[2] / 2; ++c)
                function((a * shape[1] + b) * (shape[2] / 2 + 1) + c, WavePlace{a, b, c});
    });
}

// Splines of all atoms on a mesh, which every process has.
class Mesh {
public:
    Mesh(const Matrix3& cell, const MeshShape& shape, int order, const std::vector<double>& positions);

    const MeshShape& shape() const { return shape_; }
    // Charges on the mesh points.
    std::vector<double> spread(const std::vector<double>& charges) const;
    // The derivative of that along displacements, 3 numbers an atom.
    std::vector<double> spread_moved(
        const std::vector<double>& charges, const std::vector<double>& displacements) const;
    // Values of the mesh at some atoms.
    std::vector<double> interpolate(const std::vector<double>& mesh, Rows rows) const;
    // Their derivatives by the positions, 3 numbers an atom.
    std::vector<double> gradients(const std::vector<double>& mesh, Rows rows) const;

private:
    template <int width>
    void spread_planes(const std::vector<double>& charges, std::int64_t first, std::int64_t last, double* padded) const;
    template <int width>
    double value(std::int64_t atom, const double* padded) const;
    template <int width>
    Vector3 gradient(std::int64_t atom, const double* padded, const double* slopes) const;
    void weights_of(double offset, bool derivative, double* weights) const;
    Buffer<double> padded(const std::vector<double>& mesh) const;

    MeshShape shape_;
    int order_, width_;  // numbers of a row of weights: the order and zeros, for vector instructions
    std::int64_t num_atoms_;
    Matrix3 to_coordinates_;            // from positions to units of the spacing
    std::vector<double> coefficients_;  // of the splines
    std::vector<double> offsets_;       // of atoms above a point, 3 numbers an atom
    std::vector<std::int32_t> starts_;  // of atoms: first points, 3 numbers an atom
    std::vector<double> weights_;       // of atoms, 3 rows an atom
};

}  // namespace mhdnn::electrostatics
