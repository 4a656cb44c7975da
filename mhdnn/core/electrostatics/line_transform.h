// Fourier transforms of eight lines of complex numbers at once, one in each lane; lengths are products of 2, 3 and 5.
//
// Stockham's algorithm: in a step of radix r, n = r m numbers at a stride s become m numbers at a stride r s,
//     y[q + s (r p + j)] = exp(-2πi p j / n) sum_k x[q + s (p + m k)] exp(-2πi j k / r).
#pragma once

#include <cstdint>
#include <vector>

#include "lanes.h"

namespace mhdnn::electrostatics {

using Row = Lanes<double>;

struct ComplexRow {
    Row real, imaginary;
};

inline ComplexRow operator+(ComplexRow a, ComplexRow b) { return {a.real + b.real, a.imaginary + b.imaginary}; }
inline ComplexRow operator-(ComplexRow a, ComplexRow b) { return {a.real - b.real, a.imaginary - b.imaginary}; }
inline ComplexRow operator*(ComplexRow a, double b) { return {a.real * Row(b), a.imaginary * Row(b)}; }
// -i a.
inline ComplexRow turned(ComplexRow a) { return {a.imaginary, -a.real}; }

class LineTransform {
public:
    explicit LineTransform(std::int64_t length);
    // The transform of a length, made once.
    static const LineTransform& of_length(std::int64_t length);

    std::int64_t length() const { return length_; }
    // sum_j x_j exp(-2πi j k / n) in place; `other` is as much working space.
    void forward(ComplexRow* values, ComplexRow* other) const;
    // The same with +i.
    void backward(ComplexRow* values, ComplexRow* other) const;

private:
    struct Factor {
        double cosine, sine;
    };
    struct Step {
        int radix;
        std::int64_t num_groups, stride;
        std::vector<Factor> factors;  // of each group p: exp(-2πi p j / n) for j = 1 ... r - 1
    };
    template <int radix>
    static void run(const Step& step, const ComplexRow* from, ComplexRow* to);

    std::int64_t length_;
    std::vector<Step> steps_;
};

}  // namespace mhdnn::electrostatics
