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
#include "mesh_part.h"
#include "parameters.h"

namespace mhdnn::electrostatics {

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

// Splines of all atoms on a part of a mesh. What is interpolated is a sum over the parts of all processes.
class Mesh {
public:
    Mesh(const Matrix3& cell, const MeshPart& part, int order, const std::vector<double>& positions);

    const MeshPart& part() const { return part_; }
    // Charges on the mesh points.
    Buffer<double> spread(const std::vector<double>& charges) const;
    // The derivative of that along displacements, 3 numbers an atom.
    Buffer<double> spread_moved(const std::vector<double>& charges, const std::vector<double>& displacements) const;
    // Adds the values of the mesh at the atoms.
    void interpolate(const Buffer<double>& mesh, double* values) const;
    // Their derivatives by the positions, 3 numbers an atom.
    std::vector<double> gradients(const Buffer<double>& mesh) const;

private:
    template <int width>
    void spread_planes(const std::vector<double>& charges, std::int64_t first, std::int64_t last, double* padded) const;
    void choose_atoms();
    template <int width>
    double value(std::int64_t atom, const double* padded) const;
    template <int width>
    Vector3 gradient(std::int64_t atom, const double* padded, const double* slopes) const;
    void weights_of(double offset, bool derivative, double* weights) const;
    Buffer<double> padded(const Buffer<double>& mesh) const;

    MeshPart part_;
    MeshShape shape_;
    Rows planes_;
    int order_, width_;  // numbers of a row of weights: the order and zeros, for vector instructions
    std::int64_t num_atoms_;
    Matrix3 to_coordinates_;            // from positions to units of the spacing
    std::vector<double> coefficients_;  // of the splines
    std::vector<double> offsets_;       // of atoms above a point, 3 numbers an atom
    std::vector<std::int32_t> starts_;  // of atoms: first points, 3 numbers an atom
    std::vector<std::int32_t> atoms_;   // those that reach the own planes; others have no weights
    std::vector<double> weights_;       // of atoms, 3 rows an atom
};

}  // namespace mhdnn::electrostatics
