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
constexpr std::int64_t rows_worth_a_thread = 64;

std::int64_t floor_division(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

using Numbers = std::array<std::int64_t, 3>;

// Bins that divide the cell along its vectors, and as many beyond it as the reach spans.
struct Bins {
    Numbers count;                     // along each vector, of the cell
    Numbers reach;                     // bins that it spans
    Numbers images;                    // most cells that it spans
    std::vector<Numbers> bin_of;       // of each atom, within the cell
    std::vector<std::int64_t> starts;  // of each bin's places, those beyond the cell included

    Numbers extended() const { return {count[0] + 2 * reach[0], count[1] + 2 * reach[1], count[2] + 2 * reach[2]}; }
};

Bins choose_bins(const Matrix3& reciprocal, std::int64_t num_atoms, double reach) {
    Bins bins;
    std::array<double, 3> height;
    for (int axis = 0; axis < 3; ++axis)
        height[axis] = 1.0 / norm({reciprocal[0][axis], reciprocal[1][axis], reciprocal[2][axis]});
    for (double size = reach / bins_per_cutoff;; size *= 1.25) {
        for (int axis = 0; axis < 3; ++axis)
            bins.count[axis] = std::max<std::int64_t>(1, static_cast<std::int64_t>(height[axis] / size));
        if (bins.count[0] * bins.count[1] * bins.count[2] <= std::max<std::int64_t>(64, most_bins_per_atom * num_atoms))
            break;
    }
    for (int axis = 0; axis < 3; ++axis) {
        bins.reach[axis] = static_cast<std::int64_t>(std::ceil(reach / height[axis] * bins.count[axis]));
        bins.images[axis] = (bins.count[axis] - 1 + bins.reach[axis]) / bins.count[axis];
    }
    return bins;
}

// Positions within the cell, and the bins that they are in.
std::vector<double> wrap(
    Bins& bins, const Matrix3& cell, const Matrix3& reciprocal, const std::vector<double>& positions) {
    std::vector<double> result(positions.size());
    bins.bin_of.resize(positions.size() / 3);
    for (std::size_t atom = 0; atom < bins.bin_of.size(); ++atom) {
        Vector3 fraction =
            multiply({positions[3 * atom], positions[3 * atom + 1], positions[3 * atom + 2]}, reciprocal);
        for (int axis = 0; axis < 3; ++axis) {
            fraction[axis] -= std::floor(fraction[axis]);
            bins.bin_of[atom][axis] =
                std::min(static_cast<std::int64_t>(fraction[axis] * bins.count[axis]), bins.count[axis] - 1);
        }
        const Vector3 wrapped = multiply(fraction, cell);
        std::copy(wrapped.begin(), wrapped.end(), &result[3 * atom]);
    }
    return result;
}

// Atoms of each bin of the cell.
std::vector<std::vector<std::int32_t>> atoms_of_bins(const Bins& bins) {
    std::vector<std::vector<std::int32_t>> result(bins.count[0] * bins.count[1] * bins.count[2]);
    for (std::size_t atom = 0; atom < bins.bin_of.size(); ++atom) {
        const Numbers& bin = bins.bin_of[atom];
        result[(bin[0] * bins.count[1] + bin[1]) * bins.count[2] + bin[2]].push_back(static_cast<std::int32_t>(atom));
    }
    return result;
}

// Which of the shifts an image of the cell has.
std::int32_t number_of_shift(const Bins& bins, const Numbers& image) {
    std::int64_t result = 0;
    for (int axis = 0; axis < 3; ++axis)
        result = result * (2 * bins.images[axis] + 1) + image[axis] + bins.images[axis];
    return static_cast<std::int32_t>(result);
}

std::vector<Vector3> numbers_of_shifts(const Bins& bins) {
    std::vector<Vector3> result;
    for (std::int64_t a = -bins.images[0]; a <= bins.images[0]; ++a)
        for (std::int64_t b = -bins.images[1]; b <= bins.images[1]; ++b)
            for (std::int64_t c = -bins.images[2]; c <= bins.images[2]; ++c)
                result.push_back({double(a), double(b), double(c)});
    return result;
}

// Places bin after bin, without coordinates.
Images sort_images(Bins& bins) {
    Images images;
    images.own.resize(bins.bin_of.size());
    const auto atoms = atoms_of_bins(bins);
    const Numbers size = bins.extended();
    bins.starts.assign(1, 0);
    Numbers place, bin, image;
    for (place[0] = 0; place[0] < size[0]; ++place[0])
        for (place[1] = 0; place[1] < size[1]; ++place[1])
            for (place[2] = 0; place[2] < size[2]; ++place[2]) {
                for (int axis = 0; axis < 3; ++axis) {
                    image[axis] = floor_division(place[axis] - bins.reach[axis], bins.count[axis]);
                    bin[axis] = place[axis] - bins.reach[axis] - image[axis] * bins.count[axis];
                }
                const std::int32_t shift = number_of_shift(bins, image);
                for (const auto atom : atoms[(bin[0] * bins.count[1] + bin[1]) * bins.count[2] + bin[2]]) {
                    if (image == Numbers{0, 0, 0}) images.own[atom] = static_cast<std::int32_t>(images.count());
                    images.atom.push_back(atom);
                    images.shift.push_back(shift);
                }
                bins.starts.push_back(images.count());
            }
    return images;
}

void set_coordinates(Images& images, const std::vector<double>& wrapped, const std::vector<Vector3>& shifts) {
    for (auto* const column : {&images.x, &images.y, &images.z}) column->resize(images.atom.size());
    for (std::size_t place = 0; place < images.atom.size(); ++place) {
        const double* const r = &wrapped[3 * images.atom[place]];
        const Vector3& shift = shifts[images.shift[place]];
        images.x[place] = r[0] + shift[0];
        images.y[place] = r[1] + shift[1];
        images.z[place] = r[2] + shift[2];
    }
}

std::vector<Vector3> shifts_of(const std::vector<Vector3>& numbers, const Matrix3& cell) {
    std::vector<Vector3> result;
    for (const Vector3& number : numbers) result.push_back(multiply(number, cell));
    return result;
}

// Appends the places of a row; `squared` is working space.
void collect_row(
    const Bins& bins, const Images& images, const std::vector<char>& silent, std::int64_t atom, double reach,
    std::vector<double>& squared, std::vector<std::int32_t>& found) {
    const std::int64_t own = images.own[atom];
    const double x = images.x[own], y = images.y[own], z = images.z[own], limit = reach * reach;
    const Numbers &bin = bins.bin_of[atom], size = bins.extended();
    const bool is_silent = silent[atom] != 0;
    for (std::int64_t a = bin[0]; a <= bin[0] + 2 * bins.reach[0]; ++a)
        for (std::int64_t b = bin[1]; b <= bin[1] + 2 * bins.reach[1]; ++b) {
            const std::int64_t column = (a * size[1] + b) * size[2] + bin[2];
            const std::int64_t start = bins.starts[column], count = bins.starts[column + 2 * bins.reach[2] + 1] - start;
            squared.resize(std::max<std::size_t>(squared.size(), count));
            const double *const xs = &images.x[start], *const ys = &images.y[start], *const zs = &images.z[start];
            double* const squares = squared.data();
#pragma omp simd
            for (std::int64_t k = 0; k < count; ++k) {
                const double dx = xs[k] - x, dy = ys[k] - y, dz = zs[k] - z;
                squares[k] = dx * dx + dy * dy + dz * dz;
            }
            const std::size_t before = found.size();
            found.resize(before + count);
            std::int32_t* end = found.data() + before;
            for (std::int64_t k = 0; k < count; ++k) {  // written in any case: no branch
                *end = static_cast<std::int32_t>(start + k);
                end += static_cast<int>(squares[k] < limit) & static_cast<int>(start + k != own) &
                       static_cast<int>(!is_silent || silent[images.atom[start + k]] == 0);
            }
            found.resize(end - found.data());
        }
}

// Those candidates of a row that are within the cutoff, with their squared distances; how many they are.
std::int32_t choose_near(
    const Images& images, std::int64_t own, std::int64_t count, const std::int32_t* candidates, double cutoff,
    std::int32_t* place, double* squared) {
    const double x = images.x[own], y = images.y[own], z = images.z[own], limit = cutoff * cutoff;
    const double *const xs = images.x.data(), *const ys = images.y.data(), *const zs = images.z.data();
#pragma omp simd
    for (std::int64_t k = 0; k < count; ++k) {
        const std::int32_t to = candidates[k];
        const double dx = xs[to] - x, dy = ys[to] - y, dz = zs[to] - z;
        squared[k] = dx * dx + dy * dy + dz * dz;
    }
    std::int32_t kept = 0;
    for (std::int64_t k = 0; k < count; ++k) {
        const double distance = squared[k];
        place[kept] = candidates[k];
        squared[kept] = distance;
        kept += distance < limit ? 1 : 0;
    }
    return kept;
}

}  // namespace

Buffer<double> Images::spread(const std::vector<double>& values) const {
    Buffer<double> result(atom.size());
    for (std::size_t place = 0; place < atom.size(); ++place) result[place] = values[atom[place]];
    return result;
}

NeighborSearch::Candidates NeighborSearch::search(const NeighborQuery& query, double reach) {
    Candidates result;
    const Matrix3 reciprocal = inverse(query.cell);
    Bins bins = choose_bins(reciprocal, static_cast<std::int64_t>(query.positions.size() / 3), reach);
    result.given = query.positions;
    result.wrapped = wrap(bins, query.cell, reciprocal, query.positions);
    result.numbers = numbers_of_shifts(bins);
    result.shifts = shifts_of(result.numbers, query.cell);
    result.images = sort_images(bins);
    set_coordinates(result.images, result.wrapped, result.shifts);
    result.silent = query.silent;
    result.rows = query.rows;
    result.reach = reach;
    const std::int64_t num_rows = query.rows.count, num_blocks = (num_rows + rows_at_once - 1) / rows_at_once;
    std::vector<std::vector<std::int32_t>> found(num_blocks);
    result.starts.assign(num_rows + 1, 0);
    for_each_piece(num_blocks, most_threads(), [&](int, std::int64_t block) {
        std::vector<double> squared;
        for (std::int64_t row = block * rows_at_once; row < std::min((block + 1) * rows_at_once, num_rows); ++row) {
            const auto before = static_cast<std::int64_t>(found[block].size());
            collect_row(bins, result.images, query.silent, query.rows.first + row, reach, squared, found[block]);
            result.starts[row + 1] = static_cast<std::int64_t>(found[block].size()) - before;
        }
    });
    for (std::int64_t row = 0; row < num_rows; ++row) result.starts[row + 1] += result.starts[row];
    result.place.resize(result.starts.back());
    for_each_of(num_blocks, 4, [&](std::int64_t block) {
        std::copy(found[block].begin(), found[block].end(), &result.place[result.starts[block * rows_at_once]]);
    });
    return result;
}

// Whether pairs that are within the cutoff now were within the reach then: two atoms and a shift have moved.
bool NeighborSearch::still_serves(const NeighborQuery& query) const {
    if (!kept_ || kept_->rows.first != query.rows.first || kept_->rows.count != query.rows.count ||
        kept_->given.size() != query.positions.size() || kept_->silent != query.silent)
        return false;
    double moved = 0.0, shifted = 0.0;  // squared
    for (std::size_t first = 0; first < query.positions.size(); first += 3) {
        Vector3 change;
        for (int axis = 0; axis < 3; ++axis) change[axis] = query.positions[first + axis] - kept_->given[first + axis];
        moved = std::max(moved, dot(change, change));
    }
    const auto shifts = shifts_of(kept_->numbers, query.cell);
    for (std::size_t number = 0; number < shifts.size(); ++number) {
        Vector3 change;
        for (int axis = 0; axis < 3; ++axis) change[axis] = shifts[number][axis] - kept_->shifts[number][axis];
        shifted = std::max(shifted, dot(change, change));
    }
    return query.cutoff + 2.0 * std::sqrt(moved) + std::sqrt(shifted) <= kept_->reach;
}

Images NeighborSearch::images_now(const NeighborQuery& query) const {
    Images result = kept_->images;
    std::vector<double> moved(query.positions.size());
    for (std::size_t place = 0; place < moved.size(); ++place)
        moved[place] = kept_->wrapped[place] + (query.positions[place] - kept_->given[place]);
    set_coordinates(result, moved, shifts_of(kept_->numbers, query.cell));
    return result;
}

Neighbors NeighborSearch::find(const NeighborQuery& query) {
    if (!still_serves(query)) kept_ = search(query, query.cutoff + margin_);
    Neighbors result{
        query.rows,
        images_now(query),
        kept_->starts,
        std::vector<std::int32_t>(query.rows.count),
        Buffer<std::int32_t>(kept_->place.size()),
        Buffer<double>(kept_->place.size()),
        query.cutoff * query.cutoff};
    for_each_of(query.rows.count, rows_worth_a_thread, [&](std::int64_t row) {
        const std::int64_t start = kept_->starts[row];
        result.counts[row] = choose_near(
            result.images, result.own_place(row), kept_->starts[row + 1] - start, &kept_->place[start], query.cutoff,
            result.place.data() + start, result.squared.data() + start);
    });
    return result;
}

Neighbors all_neighbors(const std::vector<double>& positions, Rows rows) {
    const auto num_atoms = static_cast<std::int32_t>(positions.size() / 3);
    const std::int64_t others = num_atoms - 1;
    Images images;
    for (std::int32_t atom = 0; atom < num_atoms; ++atom) images.own.push_back(atom);
    images.atom = images.own;
    images.shift.assign(num_atoms, 0);
    set_coordinates(images, positions, {{0.0, 0.0, 0.0}});
    Neighbors result{
        rows,
        std::move(images),
        std::vector<std::int64_t>(rows.count),
        std::vector<std::int32_t>(rows.count, static_cast<std::int32_t>(others)),
        Buffer<std::int32_t>(rows.count * others),
        Buffer<double>(rows.count * others),
        0.0};
    for (std::int64_t row = 0; row < rows.count; ++row) {
        const std::int64_t own = rows.first + row;
        std::int64_t pair = result.starts[row] = row * others;
        for (std::int32_t atom = 0; atom < num_atoms; ++atom) {
            if (atom == own) continue;
            result.place[pair] = atom;
            const Vector3 vector = result.vector(own, pair);
            result.squared[pair] = dot(vector, vector);
            result.largest_squared = std::max(result.largest_squared, result.squared[pair++]);
        }
    }
    return result;
}

}  // namespace mhdnn::electrostatics
