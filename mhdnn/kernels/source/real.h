// Numbers the formulas are written for: float and double, lanes of them (lanes.h), and dual numbers of either.
//
// A Dual carries a value and its derivative along one direction. Evaluating "gradient of the symmetry
// functions" with duals gives the derivative of the gradient, so second derivatives need no formula of
// their own.
#pragma once

#include <cmath>
#include <type_traits>

#ifdef __CUDACC__
#define MHDNN_FUNCTION __host__ __device__ __forceinline__
#else
#define MHDNN_FUNCTION inline
#endif

/// On the GPU, a loop whose number of steps the compiler knows: arrays that it runs over stay in registers.
#ifdef __CUDA_ARCH__
#define MHDNN_UNROLL _Pragma("unroll")
#else
#define MHDNN_UNROLL
#endif

namespace mhdnn {

template <class Real>
struct ScalarOf {
    using type = Real;
};
/// float or double, whatever Real is made of.
template <class Real>
using Scalar = typename ScalarOf<Real>::type;

template <class Real>
struct ConstantOf {
    using type = Real;
};
/// Real without a tangent.
template <class Real>
using Constant = typename ConstantOf<Real>::type;

template <class Real>
constexpr bool has_tangent = !std::is_same<Real, Constant<Real>>::value;

MHDNN_FUNCTION float exponential(float x) { return ::expf(x); }
MHDNN_FUNCTION double exponential(double x) { return ::exp(x); }
MHDNN_FUNCTION float square_root(float x) { return ::sqrtf(x); }
MHDNN_FUNCTION double square_root(double x) { return ::sqrt(x); }
MHDNN_FUNCTION float inverse(float x) { return 1.0f / x; }
MHDNN_FUNCTION double inverse(double x) { return 1.0 / x; }
/// x, but at least minimum; NaN stays NaN.
MHDNN_FUNCTION float at_least(float x, float minimum) { return x < minimum ? minimum : x; }
MHDNN_FUNCTION double at_least(double x, double minimum) { return x < minimum ? minimum : x; }
/// a, but zero where x is below the minimum.
MHDNN_FUNCTION float zero_where_below(float a, float x, float minimum) { return x < minimum ? 0.0f : a; }
MHDNN_FUNCTION double zero_where_below(double a, double x, double minimum) { return x < minimum ? 0.0 : a; }

/// sin(x) and cos(x) for 0 <= x <= pi/2.
MHDNN_FUNCTION void sine_cosine(float x, float& sine, float& cosine) {
    sine = ::sinf(x);
    cosine = ::cosf(x);
}
MHDNN_FUNCTION void sine_cosine(double x, double& sine, double& cosine) {
    sine = ::sin(x);
    cosine = ::cos(x);
}

template <class R>
struct Dual {
    R value, tangent;

    friend MHDNN_FUNCTION Dual operator-(Dual a) { return {-a.value, -a.tangent}; }
    friend MHDNN_FUNCTION Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.tangent + b.tangent}; }
    friend MHDNN_FUNCTION Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.tangent - b.tangent}; }
    friend MHDNN_FUNCTION Dual operator*(Dual a, Dual b) {
        return {a.value * b.value, a.value * b.tangent + a.tangent * b.value};
    }
    friend MHDNN_FUNCTION Dual operator+(Dual a, R b) { return {a.value + b, a.tangent}; }
    friend MHDNN_FUNCTION Dual operator+(R a, Dual b) { return {a + b.value, b.tangent}; }
    friend MHDNN_FUNCTION Dual operator-(Dual a, R b) { return {a.value - b, a.tangent}; }
    friend MHDNN_FUNCTION Dual operator-(R a, Dual b) { return {a - b.value, -b.tangent}; }
    friend MHDNN_FUNCTION Dual operator*(Dual a, R b) { return {a.value * b, a.tangent * b}; }
    friend MHDNN_FUNCTION Dual operator*(R a, Dual b) { return {a * b.value, a * b.tangent}; }
};

template <class R>
struct ScalarOf<Dual<R>> {
    using type = Scalar<R>;
};
template <class R>
struct ConstantOf<Dual<R>> {
    using type = R;
};

template <class R>
MHDNN_FUNCTION Dual<R> exponential(Dual<R> x) {
    const R value = exponential(x.value);
    return {value, value * x.tangent};
}

template <class R>
MHDNN_FUNCTION Dual<R> inverse(Dual<R> x) {
    const R value = inverse(x.value);
    return {value, -(value * value * x.tangent)};
}

template <class R>
MHDNN_FUNCTION Dual<R> square_root(Dual<R> x) {
    const R value = square_root(x.value);
    return {value, Scalar<R>(0.5) * x.tangent * inverse(value)};
}

template <class R>
MHDNN_FUNCTION Dual<R> at_least(Dual<R> x, Scalar<R> minimum) {
    return {at_least(x.value, minimum), zero_where_below(x.tangent, x.value, minimum)};
}

template <class R>
MHDNN_FUNCTION Dual<R> zero_where_below(Dual<R> a, Dual<R> x, Scalar<R> minimum) {
    return {zero_where_below(a.value, x.value, minimum), zero_where_below(a.tangent, x.value, minimum)};
}

template <class R>
MHDNN_FUNCTION void sine_cosine(Dual<R> x, Dual<R>& sine, Dual<R>& cosine) {
    sine_cosine(x.value, sine.value, cosine.value);
    sine.tangent = cosine.value * x.tangent;
    cosine.tangent = -(sine.value * x.tangent);
}

/// A number made of a constant.
template <class Real>
MHDNN_FUNCTION Real constant(Scalar<Real> value) {
    if constexpr (!has_tangent<Real>) {
        return Real(value);
    } else {
        return Real{Constant<Real>(value), Constant<Real>(Scalar<Real>(0))};
    }
}

/// What an evaluation returns: the value, or with duals its derivative.
template <class Real>
MHDNN_FUNCTION Constant<Real> result(Real x) {
    if constexpr (!has_tangent<Real>) {
        return x;
    } else {
        return x.tangent;
    }
}

/// Value and tangent as a Real that has one; the tangent is left out of a Real without.
template <class Real>
MHDNN_FUNCTION Real with_tangent(Constant<Real> value, Constant<Real> tangent) {
    if constexpr (!has_tangent<Real>) {
        return value;
    } else {
        return Real{value, tangent};
    }
}

}  // namespace mhdnn
