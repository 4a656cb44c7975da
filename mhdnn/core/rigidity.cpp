#include "rigidity.h"

#include <algorithm>
#include <cmath>

namespace mhdnn {

ErrorModel read_error_model(const Weights& weights, int num_elements) {
    if (!weights.has("uncertainty.offset")) return {};
    ErrorModel result{
        weights.numbers<double>("uncertainty.offset", num_elements),
        weights.numbers<double>("uncertainty.least_error", num_elements),
        weights.numbers<double>("uncertainty.weights", 4),
        weights.number("uncertainty.force_floor"),
        weights.number("uncertainty.largest_error"),
        weights.number("uncertainty.outside_factor")};
    if (weights.has("uncertainty.alone")) {
        result.alone = weights.number("uncertainty.alone");
        result.foreign_from = weights.number("uncertainty.foreign_from");
        result.steepness = weights.number("uncertainty.steepness");
    }
    return result;
}

template <class T>
Rigidity<T>::Rigidity(const Weights& weights, int num_elements, int num_functions) : num_functions_(num_functions) {
    const int num_axes = weights.shape("uncertainty.axes", 2)[1], size = 1 + num_axes;
    const Matrix<T> axes{
        num_functions, num_axes, weights.numbers<T>("uncertainty.axes", std::size_t(num_functions) * num_axes)};
    axes_ = axes.transposed();
    inverse_penalty_ = T(weights.number("uncertainty.inverse_penalty"));
    const auto factors = weights.numbers<T>("uncertainty.atomic_factor", std::size_t(num_elements) * size * size);
    const int num_landmarks = weights.shape("uncertainty.landmarks", 3)[1];
    if (num_landmarks == 0) weights.refuse("uncertainty.landmarks", "has none");
    const auto landmarks =
        weights.numbers<T>("uncertainty.landmarks", std::size_t(num_elements) * num_landmarks * num_axes);
    const auto largest = weights.numbers<double>("uncertainty.largest_grade", num_elements);
    const auto radius = weights.numbers<double>("uncertainty.radius", num_elements);
    const auto residuals = weights.numbers<T>("uncertainty.residual_weights", std::size_t(num_elements) * size);
    const auto limits = weights.numbers<double>("uncertainty.residual_limits", 2 * std::size_t(num_elements));
    std::vector<T> kernels, rates(num_elements, T(0));
    if (weights.has("uncertainty.kernel_weights")) {
        kernels = weights.numbers<T>("uncertainty.kernel_weights", std::size_t(num_elements) * num_landmarks);
        rates = weights.numbers<T>("uncertainty.kernel_rates", num_elements);
    }
    power_ = weights.number("uncertainty.rigidity_power");
    for (int element = 0; element < num_elements; ++element) {
        OfElement own;
        const auto first = factors.begin() + std::size_t(element) * size * size;
        own.factor = Matrix<T>{size, size, {first, first + std::size_t(size) * size}}.transposed();
        own.landmarks = {num_landmarks, num_axes, {}};
        for (int n = 0; n < num_landmarks; ++n) {
            T square = T(0);
            for (int k = 0; k < num_axes; ++k) {
                const T value = landmarks[(std::size_t(element) * num_landmarks + n) * num_axes + k];
                square += value * value;
                own.landmarks.values.push_back(T(-2) * value);
            }
            own.squares.push_back(square);
        }
        own.largest_grade = largest[element];
        own.radius = radius[element];
        own.residuals.assign(
            residuals.begin() + std::size_t(element) * size, residuals.begin() + std::size_t(element + 1) * size);
        if (!kernels.empty())
            own.kernels.assign(
                kernels.begin() + std::size_t(element) * num_landmarks,
                kernels.begin() + std::size_t(element + 1) * num_landmarks);
        own.rate = rates[element];
        own.smallest_residual = limits[element];
        own.largest_residual = limits[num_elements + element];
        elements_.push_back(std::move(own));
    }
}

template <class T>
void Rigidity<T>::evaluate(int element, const Lanes<T>* functions, int num_atoms, double* grades, Space& space) const {
    const Lanes<T> zero(T(0));
    const OfElement& own = elements_[element];
    const int num_axes = axes_.num_rows;
    space.features.assign(1 + num_axes, zero);
    space.features[0] = Lanes<T>(T(1));
    Lanes<T>*const features = space.features.data(), *const axes = features + 1;
    add_product(axes_, functions, axes);
    const auto squares = [](const Lanes<T>* x, int number) {
        return sum_of<T>(number, [x](int k) { return x[k] * x[k]; });
    };
    const Lanes<T> all = squares(functions, num_functions_), explained = squares(axes, num_axes);
    space.products.assign(1 + num_axes, zero);
    add_product<true>(own.factor, features, space.products.data());
    const Lanes<T> square =
        Lanes<T>(inverse_penalty_) * at_least(all - explained, T(0)) + squares(space.products.data(), 1 + num_axes);
    Lanes<T> residual = sum_of<T>(1 + num_axes, [&](int k) { return Lanes<T>(own.residuals[k]) * features[k]; });
    space.products.resize(own.squares.size());
    for (std::size_t n = 0; n < own.squares.size(); ++n) space.products[n] = Lanes<T>(own.squares[n]);
    add_product(own.landmarks, axes, space.products.data());
    Lanes<T> nearest = space.products[0];
    for (std::size_t n = 0; n < own.squares.size(); ++n) {
        const auto each = space.products[n].native;
        nearest = Lanes<T>(each < nearest.native ? each : nearest.native);
        if (own.kernels.empty()) continue;
        const Lanes<T> distance = at_least(space.products[n] + explained, T(0));
        residual = residual + Lanes<T>(own.kernels[n]) * exponential(Lanes<T>(-own.rate) * distance);
    }
    nearest = at_least(nearest + explained, T(0));
    for (int lane = 0; lane < num_atoms; ++lane) {
        const double grade = std::sqrt(double(square[lane])), distance = std::sqrt(double(nearest[lane]));
        const double bounded = std::min(std::max(double(residual[lane]), own.smallest_residual), own.largest_residual);
        grades[2 * lane] = std::pow(grade, power_) * std::exp(bounded);
        grades[2 * lane + 1] = std::max(grade / own.largest_grade, distance / own.radius);
    }
}

template class Rigidity<float>;
template class Rigidity<double>;

}  // namespace mhdnn
