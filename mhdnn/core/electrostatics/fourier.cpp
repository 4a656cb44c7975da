#include "fourier.h"

#include <algorithm>

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

// Complex transforms along an axis whose lines are `stride` apart and begin at the `count` places from `first` on.
void transform_lines(
    const LineTransform& transform, bool forward, Spectrum& spectrum, std::int64_t first, std::int64_t stride,
    int count, Lines& lines) {
    for (std::int64_t i = 0; i < transform.length(); ++i) {
        cpu::copy_row(&spectrum.real[first + i * stride], count, reinterpret_cast<double*>(&lines.values[i].real));
        cpu::copy_row(
            &spectrum.imaginary[first + i * stride], count, reinterpret_cast<double*>(&lines.values[i].imaginary));
    }
    if (forward)
        transform.forward(lines.values.data(), lines.other.data());
    else
        transform.backward(lines.values.data(), lines.other.data());
    for (std::int64_t i = 0; i < transform.length(); ++i) {
        cpu::copy_row(
            reinterpret_cast<const double*>(&lines.values[i].real), count, &spectrum.real[first + i * stride]);
        cpu::copy_row(
            reinterpret_cast<const double*>(&lines.values[i].imaginary), count,
            &spectrum.imaginary[first + i * stride]);
    }
}

// Planes of `size` lines side by side.
void transform_axis(std::int64_t length, bool forward, Spectrum& spectrum, std::int64_t num_planes, std::int64_t size) {
    const LineTransform& transform = LineTransform::of_length(length);
    const std::int64_t blocks = (size + width - 1) / width;
    for_ranges(
        num_planes * blocks, 1, threads_for(num_planes * size * length), [&](std::int64_t begin, std::int64_t end) {
            Lines lines(length);
            for (std::int64_t block = begin; block < end; ++block) {
                const std::int64_t start = block % blocks * width;
                const int count = int(std::min<std::int64_t>(width, size - start));
                transform_lines(
                    transform, forward, spectrum, block / blocks * length * size + start, size, count, lines);
            }
        });
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
void transform_rows(const MeshShape& shape, const std::vector<double>& mesh, Spectrum& spectrum) {
    const std::int64_t length = shape[2], half = length / 2 + 1, num_rows = shape[0] * shape[1];
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
void transform_rows_back(const MeshShape& shape, const Spectrum& spectrum, std::vector<double>& mesh) {
    const std::int64_t length = shape[2], half = length / 2 + 1, num_rows = shape[0] * shape[1];
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
            for (const std::int64_t k : {std::int64_t(0), half - 1}) a_imaginary[k] = b_imaginary[k] = Row(0.0);
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

}  // namespace

Spectrum transformed(const MeshShape& shape, const std::vector<double>& mesh) {
    const std::int64_t half = shape[2] / 2 + 1;
    Spectrum spectrum{std::vector<double>(num_waves(shape)), std::vector<double>(num_waves(shape))};
    transform_rows(shape, mesh, spectrum);
    transform_axis(shape[1], true, spectrum, shape[0], half);
    transform_axis(shape[0], true, spectrum, 1, shape[1] * half);
    return spectrum;
}

void transform_back(const MeshShape& shape, Spectrum& spectrum, std::vector<double>& mesh) {
    const std::int64_t half = shape[2] / 2 + 1;
    mesh.resize(num_points(shape));
    transform_axis(shape[0], false, spectrum, 1, shape[1] * half);
    transform_axis(shape[1], false, spectrum, shape[0], half);
    transform_rows_back(shape, spectrum, mesh);
}

void multiply(Spectrum& spectrum, const std::vector<double>& kernel) {
    const auto count = static_cast<std::int64_t>(kernel.size());
    double *const real = spectrum.real.data(), *const imaginary = spectrum.imaginary.data();
    for_ranges(count, points_worth_a_thread, most_threads(), [&](std::int64_t first, std::int64_t last) {
#pragma omp simd
        for (std::int64_t wave = first; wave < last; ++wave) {
            real[wave] *= kernel[wave];
            imaginary[wave] *= kernel[wave];
        }
    });
}

void convolve(const MeshShape& shape, const std::vector<double>& kernel, std::vector<double>& mesh) {
    Spectrum spectrum = transformed(shape, mesh);
    multiply(spectrum, kernel);
    transform_back(shape, spectrum, mesh);
}

}  // namespace mhdnn::electrostatics
