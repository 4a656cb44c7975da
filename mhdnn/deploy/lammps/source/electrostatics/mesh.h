// Spline interpolation between atoms and the points of a mesh, and the Green's function there: mesh.py.
#pragma once

#include <cstdint>
#include <vector>

#include "fourier.h"
#include "neighbors.h"
#include "parameters.h"

namespace mhdnn::electrostatics {

// The Coulomb kernel smeared by η, at one wave vector.
struct GreenValue {
  double value;  // eV/e²
  double slope;  // by k²
};

class Green {
 public:
  // The truncation is R of an open structure, 0 with periodic directions.
  Green(const Matrix3 &cell, const MeshShape &shape, double smearing, double truncation);

  // Number of the wave in a spectrum, and the wave numbers of its axes' places.
  Vector3 wave_vector(std::int64_t a, std::int64_t b, std::int64_t c) const;
  GreenValue at(double squared) const;

 private:
  Matrix3 reciprocal_;  // columns are reciprocal vectors over 2π
  MeshShape shape_;
  double volume_, smearing_, truncation_;
};

// Calls function(number of the wave, k, product of the influence factors) for every wave of a spectrum, in
// parallel; the planes of the first axis are numbered for sums: function(plane, ...).
template <typename Function>
void for_each_wave(const MeshShape &shape, const Green &green, const std::vector<double> (&influence)[3],
                   const Function &function) {
#pragma omp parallel for schedule(static)
  for (std::int64_t a = 0; a < shape[0]; ++a)
    for (std::int64_t b = 0; b < shape[1]; ++b)
      for (std::int64_t c = 0; c <= shape[2] / 2; ++c) {
        const std::int64_t wave = (a * shape[1] + b) * (shape[2] / 2 + 1) + c;
        function(a, wave, green.wave_vector(a, b, c), influence[0][a] * influence[1][b] * influence[2][c]);
      }
}

// Splines of own atoms on a mesh.
class Mesh {
 public:
  Mesh(const Matrix3 &cell, const MeshShape &shape, int order, const std::vector<double> &positions, Rows own);

  const MeshShape &shape() const { return shape_; }
  const Rows &own() const { return own_; }
  // Charges (of own atoms) on the mesh points.
  std::vector<double> spread(const double *charges) const;
  // Values of the mesh at own atoms.
  std::vector<double> interpolate(const std::vector<double> &mesh) const;
  // Their derivatives by the positions, 3 numbers an atom.
  std::vector<double> gradients(const std::vector<double> &mesh) const;

 private:
  template <int width>
  void spread_planes(const double *charges, std::int64_t first, std::int64_t last, double *padded) const;
  template <int width>
  double value(std::int64_t atom, const double *padded) const;
  template <int width>
  Vector3 gradient(std::int64_t atom, const double *padded, const double *slopes) const;
  void weights_of(double offset, bool derivative, double *weights) const;
  std::vector<double> padded(const std::vector<double> &mesh) const;

  MeshShape shape_;
  int order_, width_;  // numbers of a row of weights: the order and zeros, for vector instructions
  Rows own_;
  Matrix3 to_coordinates_;            // from positions to units of the spacing
  std::vector<double> coefficients_;  // of the splines
  std::vector<double> offsets_;       // of own atoms above a point, 3 numbers an atom
  std::vector<std::int32_t> starts_;  // of own atoms: first points, 3 numbers an atom
  std::vector<double> weights_;       // of own atoms, 3 rows an atom
};

}  // namespace mhdnn::electrostatics
