// Three numbers, and three rows of them.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace mhdnn::electrostatics {

using Vector3 = std::array<double, 3>;
using Matrix3 = std::array<Vector3, 3>;
using Voigt = std::array<double, 6>;  // xx yy zz yz xz xy

// [first, first + count) of atoms, or of other things.
struct Rows {
    std::int64_t first, count;
};

constexpr int voigt_row[6] = {0, 1, 2, 1, 0, 0};
constexpr int voigt_column[6] = {0, 1, 2, 2, 2, 1};

inline double dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline double norm(const Vector3& a) { return std::sqrt(dot(a, a)); }

inline Vector3 cross(const Vector3& a, const Vector3& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

inline double determinant(const Matrix3& m) { return dot(m[0], cross(m[1], m[2])); }

inline Matrix3 inverse(const Matrix3& m) {
    const double scale = 1.0 / determinant(m);
    Matrix3 result;
    for (int column = 0; column < 3; ++column) {
        const Vector3 reciprocal = cross(m[(column + 1) % 3], m[(column + 2) % 3]);
        for (int row = 0; row < 3; ++row) result[row][column] = scale * reciprocal[row];
    }
    return result;
}

// Row vector times matrix.
inline Vector3 multiply(const Vector3& row, const Matrix3& m) {
    Vector3 result;
    for (int a = 0; a < 3; ++a) result[a] = row[0] * m[0][a] + row[1] * m[1][a] + row[2] * m[2][a];
    return result;
}

// Adds factor (a b + b a) / 2.
inline void add_symmetric(double* voigt, double factor, const Vector3& a, const Vector3& b) {
    for (int c = 0; c < 6; ++c) {
        const int row = voigt_row[c], column = voigt_column[c];
        voigt[c] += 0.5 * factor * (a[row] * b[column] + a[column] * b[row]);
    }
}

}  // namespace mhdnn::electrostatics
