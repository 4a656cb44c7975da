#include "neighbors.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

constexpr double bins_per_cutoff = 3.0;
constexpr std::int64_t most_bins_per_atom = 16;
constexpr std::int64_t rows_at_once = 64;  // one thread's, so that the order doesn't depend on threads

std::int64_t floor_division(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// Atoms sorted by bins that divide the cell along its vectors.
struct Bins {
    std::array<std::int64_t, 3> count;                // along each vector
    std::array<std::int64_t, 3> reach;                // bins that the cutoff spans
    std::array<std::int64_t, 3> images;               // most cells that the cutoff spans
    std::vector<std::array<std::int64_t, 3>> bin_of;  // of each atom
    std::vector<std::int64_t> starts;                 // of each bin
    std::vector<std::int32_t> atom;                   // sorted by bins
    std::vector<double> x, y, z;                      // sorted by bins
    std::vector<double> wrapped;                      // positions in the order of the atoms
    std::vector<Vector3> shifts;

    std::int64_t place(std::int64_t a, std::int64_t b, std::int64_t c) const {
        return (a * count[1] + b) * count[2] + c;
    }
    std::int64_t image(std::int64_t a, std::int64_t b, std::int64_t c) const {
        return ((a + images[0]) * (2 * images[1] + 1) + b + images[1]) * (2 * images[2] + 1) + c + images[2];
    }
};

void choose_bins(Bins& bins, const Matrix3& reciprocal, std::int64_t num_atoms, double cutoff) {
    std::array<double, 3> height;
    for (int axis = 0; axis < 3; ++axis)
        height[axis] = 1.0 / norm({reciprocal[0][axis], reciprocal[1][axis], reciprocal[2][axis]});
    for (double size = cutoff / bins_per_cutoff;; size *= 1.25) {
        for (int axis = 0; axis < 3; ++axis)
            bins.count[axis] = std::max<std::int64_t>(1, static_cast<std::int64_t>(height[axis] / size));
        if (bins.count[0] * bins.count[1] * bins.count[2] <= std::max<std::int64_t>(64, most_bins_per_atom * num_atoms))
            break;
    }
    for (int axis = 0; axis < 3; ++axis) {
        bins.reach[axis] = static_cast<std::int64_t>(std::ceil(cutoff / height[axis] * bins.count[axis]));
        bins.images[axis] = (bins.count[axis] - 1 + bins.reach[axis]) / bins.count[axis];
    }
}

void sort_atoms(Bins& bins, const Matrix3& cell, const Matrix3& reciprocal, const std::vector<double>& positions) {
    const std::size_t num_atoms = positions.size() / 3;
    bins.bin_of.resize(num_atoms);
    bins.wrapped.resize(positions.size());
    bins.starts.assign(bins.count[0] * bins.count[1] * bins.count[2] + 1, 0);
    for (std::size_t atom = 0; atom < num_atoms; ++atom) {
        Vector3 fraction =
            multiply({positions[3 * atom], positions[3 * atom + 1], positions[3 * atom + 2]}, reciprocal);
        for (int axis = 0; axis < 3; ++axis) {
            fraction[axis] -= std::floor(fraction[axis]);
            bins.bin_of[atom][axis] =
                std::min(static_cast<std::int64_t>(fraction[axis] * bins.count[axis]), bins.count[axis] - 1);
        }
        const Vector3 wrapped = multiply(fraction, cell);
        std::copy(wrapped.begin(), wrapped.end(), &bins.wrapped[3 * atom]);
        ++bins.starts[bins.place(bins.bin_of[atom][0], bins.bin_of[atom][1], bins.bin_of[atom][2]) + 1];
    }
    for (std::size_t bin = 1; bin < bins.starts.size(); ++bin) bins.starts[bin] += bins.starts[bin - 1];
    bins.atom.resize(num_atoms);
    for (auto* const column : {&bins.x, &bins.y, &bins.z}) column->resize(num_atoms);
    std::vector<std::int64_t> next(bins.starts.begin(), bins.starts.end() - 1);
    for (std::size_t atom = 0; atom < num_atoms; ++atom) {
        const std::int64_t sorted =
            next[bins.place(bins.bin_of[atom][0], bins.bin_of[atom][1], bins.bin_of[atom][2])]++;
        bins.atom[sorted] = static_cast<std::int32_t>(atom);
        bins.x[sorted] = bins.wrapped[3 * atom];
        bins.y[sorted] = bins.wrapped[3 * atom + 1];
        bins.z[sorted] = bins.wrapped[3 * atom + 2];
    }
}

Bins make_bins(const Matrix3& cell, const std::vector<double>& positions, double cutoff) {
    Bins bins;
    const Matrix3 reciprocal = inverse(cell);
    choose_bins(bins, reciprocal, static_cast<std::int64_t>(positions.size() / 3), cutoff);
    sort_atoms(bins, cell, reciprocal, positions);
    for (std::int64_t a = -bins.images[0]; a <= bins.images[0]; ++a)
        for (std::int64_t b = -bins.images[1]; b <= bins.images[1]; ++b)
            for (std::int64_t c = -bins.images[2]; c <= bins.images[2]; ++c)
                bins.shifts.push_back(multiply({double(a), double(b), double(c)}, cell));
    return bins;
}

struct Found {
    std::vector<std::int32_t> atom, image;
    std::vector<std::int64_t> counts;  // of each row
    std::vector<double> squared;       // of the atoms of some bins
};

// Appends those of the sorted atoms [start, stop), seen in an image, that are within the cutoff of an atom.
void collect(
    const Bins& bins, std::int64_t atom, std::int64_t start, std::int64_t stop, std::int64_t image,
    double squared_cutoff, Found& found) {
    const Vector3& shift = bins.shifts[image];
    const double x = bins.wrapped[3 * atom] - shift[0], y = bins.wrapped[3 * atom + 1] - shift[1],
                 z = bins.wrapped[3 * atom + 2] - shift[2];
    const std::int64_t count = stop - start;
    found.squared.resize(std::max<std::size_t>(found.squared.size(), count));
    double* const squared = found.squared.data();
    const double *const xs = bins.x.data() + start, *const ys = bins.y.data() + start,
                        *const zs = bins.z.data() + start;
#pragma omp simd
    for (std::int64_t k = 0; k < count; ++k) {
        const double dx = xs[k] - x, dy = ys[k] - y, dz = zs[k] - z;
        squared[k] = dx * dx + dy * dy + dz * dz;
    }
    const std::int64_t self = image == bins.image(0, 0, 0) ? atom : -1;
    const std::size_t before = found.atom.size();
    found.atom.resize(before + count);
    std::int32_t* end = found.atom.data() + before;
    for (std::int64_t k = 0; k < count; ++k) {  // written in any case: no branch
        *end = bins.atom[start + k];
        end += squared[k] < squared_cutoff && bins.atom[start + k] != self ? 1 : 0;
    }
    found.atom.resize(end - found.atom.data());
    found.image.resize(found.atom.size(), static_cast<std::int32_t>(image));
}

void collect_row(const Bins& bins, std::int64_t atom, double cutoff, Found& found) {
    const auto& own = bins.bin_of[atom];
    const std::int64_t low = own[2] - bins.reach[2], high = own[2] + bins.reach[2], size = bins.count[2];
    for (std::int64_t a = own[0] - bins.reach[0]; a <= own[0] + bins.reach[0]; ++a)
        for (std::int64_t b = own[1] - bins.reach[1]; b <= own[1] + bins.reach[1]; ++b) {
            const std::int64_t image_a = floor_division(a, bins.count[0]), image_b = floor_division(b, bins.count[1]);
            const std::int64_t column = bins.place(a - image_a * bins.count[0], b - image_b * bins.count[1], 0);
            for (std::int64_t image_c = floor_division(low, size); image_c <= floor_division(high, size); ++image_c) {
                const std::int64_t begin = std::max(low - image_c * size, std::int64_t(0));
                const std::int64_t end = std::min(high - image_c * size, size - 1);
                collect(
                    bins, atom, bins.starts[column + begin], bins.starts[column + end + 1],
                    bins.image(image_a, image_b, image_c), cutoff * cutoff, found);
            }
        }
}

}  // namespace

Neighbors neighbors_within(const Matrix3& cell, const std::vector<double>& positions, Rows rows, double cutoff) {
    Bins bins = make_bins(cell, positions, cutoff);
    const std::int64_t num_blocks = (rows.count + rows_at_once - 1) / rows_at_once;
    std::vector<Found> found(num_blocks);
    for_each_piece(num_blocks, most_threads(), [&](int, std::int64_t block) {
        for (std::int64_t row = block * rows_at_once; row < std::min((block + 1) * rows_at_once, rows.count); ++row) {
            const auto before = static_cast<std::int64_t>(found[block].atom.size());
            collect_row(bins, rows.first + row, cutoff, found[block]);
            found[block].counts.push_back(static_cast<std::int64_t>(found[block].atom.size()) - before);
        }
    });
    Neighbors result{rows, {0}, {}, {}, std::move(bins.shifts), std::move(bins.wrapped)};
    for (const auto& block : found)
        for (const auto count : block.counts) result.starts.push_back(result.starts.back() + count);
    result.atom.resize(result.starts.back());
    result.image.resize(result.starts.back());
    for_each_of(num_blocks, 4, [&](std::int64_t block) {
        const std::int64_t start = result.starts[block * rows_at_once];
        std::copy(found[block].atom.begin(), found[block].atom.end(), result.atom.begin() + start);
        std::copy(found[block].image.begin(), found[block].image.end(), result.image.begin() + start);
    });
    return result;
}

Neighbors all_neighbors(const std::vector<double>& positions, Rows rows) {
    Neighbors result{rows, {0}, {}, {}, {{0.0, 0.0, 0.0}}, positions};
    const auto num_atoms = static_cast<std::int32_t>(positions.size() / 3);
    for (std::int64_t row = 0; row < rows.count; ++row) {
        for (std::int32_t atom = 0; atom < num_atoms; ++atom)
            if (atom != rows.first + row) result.atom.push_back(atom);
        result.starts.push_back(result.num_pairs());
    }
    result.image.assign(result.atom.size(), 0);
    return result;
}

}  // namespace mhdnn::electrostatics
