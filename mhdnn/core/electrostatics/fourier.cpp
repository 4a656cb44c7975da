#include "fourier.h"

#include <algorithm>
#include <numeric>

#include "cpu/rows.h"
#include "line_transform.h"
#include "threads.h"

namespace mhdnn::electrostatics {
namespace {

constexpr int width = Row::width;
constexpr std::int64_t points_worth_a_thread = 1 << 14;

// Of a mesh of that many points; small ones are not worth it.
int threads_for(std::int64_t num_points) {
    return static_cast<int>(
        std::min<std::int64_t>(most_threads(), std::max<std::int64_t>(1, num_points / points_worth_a_thread)));
}

struct Lines {
    std::vector<ComplexRow> values, other;

    explicit Lines(std::int64_t length) : values(length), other(length) {}
};

// Numbers of an array (planes, length, size): of the waves or points along the middle axis that are there, their
// places.
struct Axis {
    const std::vector<std::int64_t>& places;
    std::int64_t size;

    std::int64_t start(std::int64_t plane, std::int64_t column) const {
        return plane * static_cast<std::int64_t>(places.size()) * size + column;
    }
};

void load_lines(const Spectrum& spectrum, const Axis& axis, std::int64_t start, int count, Lines& lines) {
    for (std::size_t i = 0; i < axis.places.size(); ++i) {
        ComplexRow& line = lines.values[axis.places[i]];
        const std::int64_t from = start + static_cast<std::int64_t>(i) * axis.size;
        cpu::copy_row(&spectrum.real[from], count, reinterpret_cast<double*>(&line.real));
        cpu::copy_row(&spectrum.imaginary[from], count, reinterpret_cast<double*>(&line.imaginary));
    }
}

void store_lines(const Lines& lines, const Axis& axis, std::int64_t start, int count, Spectrum& spectrum) {
    for (std::size_t i = 0; i < axis.places.size(); ++i) {
        const ComplexRow& line = lines.values[axis.places[i]];
        const std::int64_t to = start + static_cast<std::int64_t>(i) * axis.size;
        cpu::copy_row(reinterpret_cast<const double*>(&line.real), count, &spectrum.real[to]);
        cpu::copy_row(reinterpret_cast<const double*>(&line.imaginary), count, &spectrum.imaginary[to]);
    }
}

// Complex transforms along the middle axis. What isn't there before is zero, what isn't wanted after is left out.
void transform_axis(
    std::int64_t length, bool forward, std::int64_t num_planes, const Spectrum& from, const Axis& before, Spectrum& to,
    const Axis& after) {
    const LineTransform& transform = LineTransform::of_length(length);
    const std::int64_t size = before.size, blocks = (size + width - 1) / width;
    for_ranges(
        num_planes * blocks, 1, threads_for(num_planes * size * length), [&](std::int64_t begin, std::int64_t end) {
            Lines lines(length);
            for (std::int64_t block = begin; block < end; ++block) {
                const std::int64_t plane = block / blocks, column = block % blocks * width;
                const int count = int(std::min<std::int64_t>(width, size - column));
                if (static_cast<std::int64_t>(before.places.size()) < length)
                    std::fill(lines.values.begin(), lines.values.end(), ComplexRow{Row(0.0), Row(0.0)});
                load_lines(from, before, before.start(plane, column), count, lines);
                if (forward)
                    transform.forward(lines.values.data(), lines.other.data());
                else
                    transform.backward(lines.values.data(), lines.other.data());
                store_lines(lines, after, after.start(plane, column), count, to);
            }
        });
}

std::vector<std::int64_t> all_places(std::int64_t length) {
    std::vector<std::int64_t> result(length);
    std::iota(result.begin(), result.end(), 0);
    return result;
}

// Two rows of the mesh are one line, as real and imaginary part: rows 2 i and 2 i + 1 of up to 16.
struct RowPairs {
    std::int64_t even[width], odd[width];
    int num_even, num_odd;

    RowPairs(std::int64_t block, std::int64_t num_rows) {
        const std::int64_t first = 2 * width * block, left = num_rows - first;
        num_even = int(std::min<std::int64_t>(width, (left + 1) / 2));
        num_odd = int(std::min<std::int64_t>(width, left / 2));
        for (int i = 0; i < width; ++i) {
            even[i] = first + 2 * i;
            odd[i] = first + 2 * i + 1;
        }
    }
};

std::int64_t num_blocks(std::int64_t num_rows) { return (num_rows + 2 * width - 1) / (2 * width); }

// Rows of the mesh become rows of the spectrum, two at a time: with z = a + ib,
// a = (z_k + conj z_n-k) / 2, b = -i (z_k - conj z_n-k) / 2.
void transform_rows(const MeshPart& part, const Buffer<double>& mesh, Spectrum& spectrum) {
    const std::int64_t length = part.shape()[2], half = part.depth(), num_rows = part.planes().count * part.shape()[1];
    const LineTransform& transform = LineTransform::of_length(length);
    for_ranges(num_blocks(num_rows), 1, threads_for(num_rows * length), [&](std::int64_t begin, std::int64_t end) {
        Lines lines(length);
        std::vector<Row> a(length), b(length), a_imaginary(half), b_imaginary(half);
        for (std::int64_t block = begin; block < end; ++block) {
            const RowPairs rows(block, num_rows);
            cpu::load_rows(mesh.data(), int(length), rows.even, rows.num_even, a.data());
            cpu::load_rows(mesh.data(), int(length), rows.odd, rows.num_odd, b.data());
            for (std::int64_t i = 0; i < length; ++i) lines.values[i] = {a[i], b[i]};
            transform.forward(lines.values.data(), lines.other.data());
            for (std::int64_t k = 0; k < half; ++k) {
                const ComplexRow one = lines.values[k] * 0.5, other = lines.values[k == 0 ? 0 : length - k] * 0.5;
                a[k] = one.real + other.real;
                a_imaginary[k] = one.imaginary - other.imaginary;
                b[k] = one.imaginary + other.imaginary;
                b_imaginary[k] = other.real - one.real;
            }
            cpu::store_rows(a.data(), int(half), rows.even, rows.num_even, spectrum.real.data());
            cpu::store_rows(a_imaginary.data(), int(half), rows.even, rows.num_even, spectrum.imaginary.data());
            cpu::store_rows(b.data(), int(half), rows.odd, rows.num_odd, spectrum.real.data());
            cpu::store_rows(b_imaginary.data(), int(half), rows.odd, rows.num_odd, spectrum.imaginary.data());
        }
    });
}

// And back. Of a row of real numbers the first wave and the last one have no imaginary part.
void transform_rows_back(const MeshPart& part, const Spectrum& spectrum, Buffer<double>& mesh) {
    const std::int64_t length = part.shape()[2], half = part.depth(), num_rows = part.planes().count * part.shape()[1];
    const LineTransform& transform = LineTransform::of_length(length);
    for_ranges(num_blocks(num_rows), 1, threads_for(num_rows * length), [&](std::int64_t begin, std::int64_t end) {
        Lines lines(length);
        std::vector<Row> a(length), b(length), a_imaginary(half), b_imaginary(half);
        for (std::int64_t block = begin; block < end; ++block) {
            const RowPairs rows(block, num_rows);
            cpu::load_rows(spectrum.real.data(), int(half), rows.even, rows.num_even, a.data());
            cpu::load_rows(spectrum.imaginary.data(), int(half), rows.even, rows.num_even, a_imaginary.data());
            cpu::load_rows(spectrum.real.data(), int(half), rows.odd, rows.num_odd, b.data());
            cpu::load_rows(spectrum.imaginary.data(), int(half), rows.odd, rows.num_odd, b_imaginary.data());
            a_imaginary[0] = b_imaginary[0] = Row(0.0);
            if (half == length / 2 + 1) a_imaginary[half - 1] = b_imaginary[half - 1] = Row(0.0);
            for (std::int64_t k = half; k <= length - half; ++k) lines.values[k] = {Row(0.0), Row(0.0)};
            for (std::int64_t k = 0; k < half; ++k) {
                if (k > 0) lines.values[length - k] = {a[k] + b_imaginary[k], b[k] - a_imaginary[k]};
                lines.values[k] = {a[k] - b_imaginary[k], a_imaginary[k] + b[k]};
            }
            transform.backward(lines.values.data(), lines.other.data());
            for (std::int64_t i = 0; i < length; ++i) {
                a[i] = lines.values[i].real;
                b[i] = lines.values[i].imaginary;
            }
            cpu::store_rows(a.data(), int(length), rows.even, rows.num_even, mesh.data());
            cpu::store_rows(b.data(), int(length), rows.odd, rows.num_odd, mesh.data());
        }
    });
}

Spectrum of_size(std::int64_t size) { return {Buffer<double>(size), Buffer<double>(size)}; }

// Part of an array of rows.
struct Block {
    Rows rows, columns;

    std::int64_t size() const { return 2 * rows.count * columns.count; }  // real and imaginary parts
};

// Calls copy(values of the spectrum, their place among the blocks, count) for all stretches of numbers, block after
// block, real parts first.
template <typename Copy>
void for_each_stretch(Spectrum& spectrum, std::int64_t row_length, const std::vector<Block>& blocks, const Copy& copy) {
    std::int64_t place = 0;
    for (const Block& block : blocks)
        for (double* const values : {spectrum.real.data(), spectrum.imaginary.data()})
            for (std::int64_t row = 0; row < block.rows.count; ++row, place += block.columns.count)
                copy(values + (block.rows.first + row) * row_length + block.columns.first, place, block.columns.count);
}

std::vector<std::int64_t> sizes_of(const std::vector<Block>& blocks) {
    std::vector<std::int64_t> result;
    for (const Block& block : blocks) result.push_back(block.size());
    return result;
}

// From own planes with all lines to own lines with all planes, or back.
Spectrum exchanged(const MeshPart& part, Spectrum spectrum, bool forward) {
    if (part.processes().size == 1) return spectrum;
    const Rows planes = part.planes(), lines = part.lines();
    std::vector<Block> sent, received;
    for (int process = 0; process < part.processes().size; ++process) {
        sent.push_back({{0, planes.count}, part.lines_of(process)});
        received.push_back({part.planes_of(process), {0, lines.count}});
    }
    std::int64_t length = part.num_lines(), new_length = lines.count;
    std::int64_t size = planes.count * length, new_size = part.shape()[0] * new_length;
    if (!forward) {
        std::swap(sent, received);
        std::swap(length, new_length);
        std::swap(size, new_size);
    }
    Buffer<double> outgoing(2 * size), incoming(2 * new_size);
    for_each_stretch(spectrum, length, sent, [&](const double* values, std::int64_t place, std::int64_t count) {
        std::copy_n(values, count, outgoing.data() + place);
    });
    part.processes().exchange(outgoing.data(), sizes_of(sent), incoming.data(), sizes_of(received));
    Spectrum result = of_size(new_size);
    for_each_stretch(result, new_length, received, [&](double* values, std::int64_t place, std::int64_t count) {
        std::copy_n(incoming.data() + place, count, values);
    });
    return result;
}

}  // namespace

Spectrum transformed(const MeshPart& part, const Buffer<double>& mesh) {
    const MeshShape& shape = part.shape();
    const std::int64_t num_planes = part.planes().count;
    const auto first = all_places(shape[0]), middle = all_places(shape[1]);
    Spectrum rows = of_size(num_planes * shape[1] * part.depth()), planes = of_size(num_planes * part.num_lines());
    transform_rows(part, mesh, rows);
    transform_axis(shape[1], true, num_planes, rows, {middle, part.depth()}, planes, {part.middle(), part.depth()});
    Spectrum lines = exchanged(part, std::move(planes), true);
    const Axis axis = {first, part.lines().count};
    transform_axis(shape[0], true, 1, lines, axis, lines, axis);
    return lines;
}

Buffer<double> transformed_back(const MeshPart& part, Spectrum lines) {
    const MeshShape& shape = part.shape();
    const std::int64_t num_planes = part.planes().count;
    const auto first = all_places(shape[0]), middle = all_places(shape[1]);
    const Axis axis = {first, part.lines().count};
    transform_axis(shape[0], false, 1, lines, axis, lines, axis);
    const Spectrum planes = exchanged(part, std::move(lines), false);
    Spectrum rows = of_size(num_planes * shape[1] * part.depth());
    transform_axis(shape[1], false, num_planes, planes, {part.middle(), part.depth()}, rows, {middle, part.depth()});
    Buffer<double> mesh(part.num_points());
    transform_rows_back(part, rows, mesh);
    return mesh;
}

void multiply(Spectrum& spectrum, const Buffer<double>& kernel) {
    double *const real = spectrum.real.data(), *const imaginary = spectrum.imaginary.data();
    const double* const factors = kernel.data();
    for_ranges(
        static_cast<std::int64_t>(kernel.size()), points_worth_a_thread, most_threads(),
        [&](std::int64_t first, std::int64_t last) {
#pragma omp simd
            for (std::int64_t wave = first; wave < last; ++wave) {
                real[wave] *= factors[wave];
                imaginary[wave] *= factors[wave];
            }
        });
}

Spectrum product(const Spectrum& spectrum, const Buffer<double>& kernel) {
    const auto count = static_cast<std::int64_t>(kernel.size());
    Spectrum result = of_size(count);
    std::copy_n(spectrum.real.data(), count, result.real.data());
    std::copy_n(spectrum.imaginary.data(), count, result.imaginary.data());
    multiply(result, kernel);
    return result;
}

Buffer<double> convolved(const MeshPart& part, const Buffer<double>& kernel, const Buffer<double>& mesh) {
    Spectrum waves = transformed(part, mesh);
    multiply(waves, kernel);
    return transformed_back(part, std::move(waves));
}

}  // namespace mhdnn::electrostatics
