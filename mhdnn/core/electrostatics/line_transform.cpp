#include "line_transform.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "parameters.h"

namespace mhdnn::electrostatics {
namespace {

template <int radix>
void small_transform(ComplexRow* x);

template <>
inline void small_transform<2>(ComplexRow* x) {
    const ComplexRow sum = x[0] + x[1];
    x[1] = x[0] - x[1];
    x[0] = sum;
}

template <>
inline void small_transform<3>(ComplexRow* x) {
    constexpr double sine = 0.86602540378443864676;  // of 2π/3
    const ComplexRow sum = x[1] + x[2], middle = x[0] - sum * 0.5, side = turned(x[1] - x[2]) * sine;
    x[0] = x[0] + sum;
    x[1] = middle + side;
    x[2] = middle - side;
}

template <>
inline void small_transform<4>(ComplexRow* x) {
    const ComplexRow even = x[0] + x[2], odd = x[1] + x[3], first = x[0] - x[2], second = turned(x[1] - x[3]);
    x[0] = even + odd;
    x[1] = first + second;
    x[2] = even - odd;
    x[3] = first - second;
}

template <>
inline void small_transform<5>(ComplexRow* x) {
    // of 2π/5 and 4π/5
    constexpr double c1 = 0.30901699437494742410, s1 = 0.95105651629515357212;
    constexpr double c2 = -0.80901699437494742410, s2 = 0.58778525229247312917;
    const ComplexRow sum1 = x[1] + x[4], sum2 = x[2] + x[3];
    const ComplexRow difference1 = turned(x[1] - x[4]), difference2 = turned(x[2] - x[3]);
    const ComplexRow middle1 = x[0] + sum1 * c1 + sum2 * c2, middle2 = x[0] + sum1 * c2 + sum2 * c1;
    const ComplexRow side1 = difference1 * s1 + difference2 * s2, side2 = difference1 * s2 - difference2 * s1;
    x[0] = x[0] + sum1 + sum2;
    x[1] = middle1 + side1;
    x[2] = middle2 + side2;
    x[3] = middle2 - side2;
    x[4] = middle1 - side1;
}

}  // namespace

LineTransform::LineTransform(std::int64_t length) : length_(length) {
    std::int64_t rest = length, stride = 1;
    for (const int radix : {4, 2, 3, 5})
        while (rest % radix == 0) {
            Step step{radix, rest / radix, stride, {}};
            for (std::int64_t group = 0; group < step.num_groups; ++group)
                for (int j = 1; j < radix; ++j) {
                    const double angle = -2.0 * pi * double(group * j) / double(rest);
                    step.factors.push_back({std::cos(angle), std::sin(angle)});
                }
            steps_.push_back(step);
            rest /= radix;
            stride *= radix;
        }
    if (rest != 1)
        throw std::runtime_error("Fourier transform: expected a product of 2, 3 and 5, got " + std::to_string(length));
}

const LineTransform& LineTransform::of_length(std::int64_t length) {
    static std::mutex mutex;
    static std::map<std::int64_t, LineTransform> known;  // whose entries never move
    const std::lock_guard<std::mutex> lock(mutex);
    return known.try_emplace(length, length).first->second;
}

template <int radix>
void LineTransform::run(const Step& step, const ComplexRow* from, ComplexRow* to) {
    const std::int64_t stride = step.stride, far = stride * step.num_groups;
    for (std::int64_t group = 0; group < step.num_groups; ++group) {
        const Factor* const factor = &step.factors[group * (radix - 1)];
        for (std::int64_t q = 0; q < stride; ++q) {
            ComplexRow x[radix];
            for (int k = 0; k < radix; ++k) x[k] = from[q + stride * group + far * k];
            small_transform<radix>(x);
            ComplexRow* const out = to + q + stride * radix * group;
            out[0] = x[0];
            for (int j = 1; j < radix; ++j) {
                const Row c(factor[j - 1].cosine), s(factor[j - 1].sine);
                out[stride * j] = {x[j].real * c - x[j].imaginary * s, x[j].real * s + x[j].imaginary * c};
            }
        }
    }
}

void LineTransform::forward(ComplexRow* values, ComplexRow* other) const {
    ComplexRow *from = values, *to = other;
    for (const Step& step : steps_) {
        if (step.radix == 2)
            run<2>(step, from, to);
        else if (step.radix == 3)
            run<3>(step, from, to);
        else if (step.radix == 4)
            run<4>(step, from, to);
        else
            run<5>(step, from, to);
        std::swap(from, to);
    }
    if (from != values) std::copy(from, from + length_, values);
}

// The transform with real and imaginary parts exchanged before and after.
void LineTransform::backward(ComplexRow* values, ComplexRow* other) const {
    for (std::int64_t i = 0; i < length_; ++i) std::swap(values[i].real, values[i].imaginary);
    forward(values, other);
    for (std::int64_t i = 0; i < length_; ++i) std::swap(values[i].real, values[i].imaginary);
}

}  // namespace mhdnn::electrostatics
